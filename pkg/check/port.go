package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb"
)

// refusedPorts counts the ports that an agent will not use, by cause: pkg/path/usable.go.
func refusedPorts(_ context.Context, n *node) []Line {
	const name = "ports"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	var detail []string
	counts := make(map[string]int)
	usable := 0
	for i := range n.Ports {
		p := &n.Ports[i]
		causes := refusals(p)
		if len(causes) == 0 && (p.Type == "" || p.Type == "system") && p.DatapathType == "system" {
			usable++
		}
		for _, c := range causes {
			counts[c]++
			detail = append(detail, p.Name+": "+c)
		}
	}
	found := fmt.Sprintf("%d of %d can be used", usable, len(n.Ports))
	var causes []string
	chosen := false // by a setting
	for _, c := range portCauses {
		if counts[c.name] > 0 {
			chosen = chosen || !c.usual
			causes = append(causes, fmt.Sprintf("%d %s", counts[c.name], c.name))
		}
	}
	if on := wished(n.Ports); on > 0 {
		found += fmt.Sprintf("; %d chosen by external_ids:flowshunt=on", on)
	}
	if len(causes) > 0 {
		found += "; " + strings.Join(causes, ", ")
	}
	if !chosen {
		return []Line{ok(name, "%s", found).detail(detail)}
	}
	return []Line{warning(name, "%s", found).
		why("rules would bypass what OVS does there, so these ports are left out").
		fix("flowshuntctl check --verbose names them").detail(detail)}
}

// wished counts the ports that ask to be used, --ports or not.
func wished(ports []ovsdb.Port) (on int) {
	for i := range ports {
		if ports[i].Wish == ovsdb.WishOn {
			on++
		}
	}
	return on
}

// notUnderstood says what of the database is not taken for what it seems.
func notUnderstood(_ context.Context, n *node) []Line {
	var odd []string
	for i := range n.Bridges {
		for _, p := range n.Bridges[i].Problems {
			odd = append(odd, "bridge "+n.Bridges[i].Name+": "+p)
		}
	}
	for i := range n.Ports {
		for _, p := range n.Ports[i].Problems {
			odd = append(odd, n.Ports[i].Name+": "+p)
		}
	}
	if len(odd) == 0 {
		return nil
	}
	return []Line{warning("not understood", "%s", some(odd)).
		why("those settings are taken for not set, or for off").detail(odd)}
}

// portCauses are why a port of a usable type is left out.
var portCauses = []struct {
	name  string
	usual bool // as on any node
	has   func(*ovsdb.Port) bool
}{
	{"excluded (external_ids:flowshunt=off)", true, func(p *ovsdb.Port) bool { return p.Wish == ovsdb.WishOff }},
	{"with policing", false, func(p *ovsdb.Port) bool { return p.Policing.Active() }},
	{"with QoS", false, func(p *ovsdb.Port) bool { return p.QoS != "" }},
	{"mirrored", false, func(p *ovsdb.Port) bool { return p.Mirror.Watched() || p.Mirror.Target }},
	{"sampled (sFlow, NetFlow, IPFIX)", false, func(p *ovsdb.Port) bool { return p.Sampling.Active() }},
	{"in a bond", false, func(p *ovsdb.Port) bool { return p.Bond.Members > 0 }},
	{"that OVS could not open", false, func(p *ovsdb.Port) bool { return p.Error != "" }},
	{"of a type that rules cannot use (tunnels, for instance)", true, func(p *ovsdb.Port) bool {
		return !slices.Contains([]string{"", "system", "internal", "patch"}, p.Type)
	}},
}

func refusals(p *ovsdb.Port) (causes []string) {
	for _, c := range portCauses {
		if c.has(p) {
			causes = append(causes, c.name)
		}
	}
	return causes
}
