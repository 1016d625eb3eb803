package check

import (
	"context"
	"fmt"

	"github.com/flowshunt/flowshunt/pkg/tc"
)

// ingressQdiscs: a port has one qdisc in that place, and rules need it to be clsact. OVS
// makes `ingress` where it polices or offloads (lib/netdev-linux.c).
func ingressQdiscs(ctx context.Context, n *node) []Line {
	const name = "ingress"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	kinds, err := readQdiscs(ctx)
	if err != nil {
		return []Line{unknown(name, err)}
	}
	var taken []string
	var fix []string
	prepared, policed := 0, 0
	for i := range n.Ports {
		p := &n.Ports[i]
		d, found := n.plugged(p)
		if !found || kinds[d.index] == "" {
			continue
		}
		if kinds[d.index] == tc.KindClsact {
			prepared++
			continue
		}
		if p.Policing.Active() && !n.Switch.HWOffload {
			policed++ // wanted there, and the port is left out anyway: see refusedPorts
			continue
		}
		taken = append(taken, fmt.Sprintf("%s (%s)", p.Name, n.whoseQdisc()))
		if fix == nil {
			fix = []string{"tc qdisc show dev " + p.Name + " ingress", "tc filter show dev " + p.Name + " ingress",
				"tc qdisc del dev " + p.Name + " ingress # once nobody needs it"}
		}
	}
	if len(taken) > 0 {
		return []Line{fatal(name, "%s: %s", plural(len(taken), "port has an ingress qdisc", "ports have an ingress qdisc"), some(taken)).
			why("it stands where our clsact belongs, so these ports cannot be used (port-unready)").fix(fix...).detail(taken)}
	}
	if policed > 0 {
		return []Line{ok(name, "%s, of OVS's policing; %d with clsact", plural(policed, "port has an ingress qdisc", "ports have an ingress qdisc"), prepared)}
	}
	return []Line{ok(name, "no port has an ingress qdisc; %d with clsact", prepared)}
}

// whoseQdisc guesses who made an ingress qdisc.
func (n *node) whoseQdisc() string {
	if n.Switch.HWOffload {
		return "of OVS: hw-offload"
	}
	return "not of OVS, or left by it"
}

// readQdiscs returns the kind of what stands where clsact does, by ifindex.
func readQdiscs(ctx context.Context) (map[int32]string, error) {
	conn, err := tc.Dial(tc.Config{Timeout: patience})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	kinds := make(map[int32]string)
	err = conn.Qdiscs(ctx, func(q tc.Qdisc) error {
		if q.OnIngress() {
			kinds[q.Link] = q.Kind
		}
		return nil
	})
	return kinds, err
}
