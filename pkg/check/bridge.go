package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// bridges: only what the kernel's datapath forwards can be bypassed by tc.
func bridges(_ context.Context, n *node) []Line {
	const name = "bridges"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	var kernel, other []string
	for _, b := range n.Bridges {
		if b.DatapathType == "system" {
			kernel = append(kernel, b.Name)
		} else {
			other = append(other, fmt.Sprintf("%s (%s)", b.Name, b.DatapathType))
		}
	}
	const why = "only the kernel's datapath can be bypassed by tc (path-unsupported/datapath)"
	switch {
	case len(kernel) == 0 && len(other) == 0:
		return []Line{warning(name, "there is none").why("nothing can be offloaded before the cloud's agent made them")}
	case len(kernel) == 0:
		return []Line{fatal(name, "none on the kernel's datapath: %s", some(other)).why(why).
			fix("ovs-vsctl set bridge NAME datapath_type=system").detail(other)}
	case len(other) > 0:
		return []Line{warning(name, "%s; not on the kernel's datapath: %s", some(kernel), some(other)).why(why).detail(other)}
	}
	return []Line{ok(name, "%s", some(kernel)).detail(kernel)}
}

// openFlow tries what an agent does: it watches the flow tables over the management socket.
func openFlow(ctx context.Context, n *node) []Line {
	const name = "flow monitor"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	if lines, unasked := n.unasked(name); unasked {
		return lines
	}
	rows, _ := selectRows(ctx, n.OVSDB)
	var good, bad []string
	for _, b := range n.Bridges {
		v, err := watch(ctx, openflow.SocketPath(n.OVSRundir, b.Name))
		switch {
		case denied(err), errors.Is(err, openflow.ErrPermission):
			l := unknown(name, err)
			l.Root = true
			return []Line{l}
		case err != nil:
			bad = append(bad, fmt.Sprintf("%s (protocols %s): %s", b.Name, strings.Join(rows.protocols[b.Name], ","), oneLine(err.Error())))
		default:
			good = append(good, fmt.Sprintf("%s %s", b.Name, v))
		}
	}
	if len(bad) > 0 {
		return []Line{warning(name, "%s tell no changes: %s", plural(len(bad), "bridge", "bridges"), some(bad)).
			why("their sessions are confirmed each second instead, which costs OVS time").
			fix("ovs-vsctl set bridge NAME protocols=OpenFlow10,OpenFlow13,OpenFlow15").detail(bad)}
	}
	return []Line{ok(name, "%s", plural(len(good), "bridge tells its changes", "bridges tell their changes")).detail(good)}
}

// watcher ends as soon as the bridge watches.
type watcher struct {
	version openflow.Version
	stop    context.CancelFunc
}

func (w *watcher) Watching(v openflow.Version) { w.version = v; w.stop() }
func (w *watcher) Changed([]openflow.Change)   {}
func (w *watcher) Lost(error)                  {}

func watch(ctx context.Context, socket string) (openflow.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w := &watcher{stop: cancel}
	err := openflow.Watch(ctx, openflow.Config{Socket: socket, Timeout: patience}, w)
	if w.version != 0 {
		return w.version, nil
	}
	return 0, err
}

// ageing: a station all of whose packets bypass OVS is forgotten after this long; one of
// its sessions takes the slow path for a moment before (docs/decisions/0009-mac-ageing.md).
func ageing(_ context.Context, n *node) []Line {
	const name, short = "mac ageing", 30 * time.Second
	if lines, undone := n.undone(name); undone {
		return lines
	}
	var found []string
	low := false
	for _, b := range n.Bridges {
		found = append(found, fmt.Sprintf("%s %v", b.Name, b.MACAging))
		low = low || b.MACAging < short
	}
	slices.Sort(found)
	if low {
		return []Line{warning(name, "%s", some(found)).
			why("each station's sessions leave the NIC for a moment at half of that (mac-ageing)").
			fix("ovs-vsctl remove bridge NAME other_config mac-aging-time").detail(found)}
	}
	if len(found) == 0 {
		return []Line{ok(name, "no bridge")}
	}
	return []Line{ok(name, "%s", some(found)).detail(found)}
}

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

// guarded counts ports that a network service guards (iface-id): what their security
// groups permit is not read yet, so they wait for --trust-ovs (sg-unknown).
func guarded(_ context.Context, n *node) []Line {
	const name = "security groups"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	var with []string
	for i := range n.Ports {
		if n.Ports[i].IfaceID != "" {
			with = append(with, n.Ports[i].Name)
		}
	}
	if len(with) == 0 {
		return []Line{ok(name, "no port has any (iface-id)")}
	}
	return []Line{ok(name, "%s (iface-id): offloaded only by flowshuntd --trust-ovs",
		plural(len(with), "port has them", "ports have them")).detail(with)}
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
