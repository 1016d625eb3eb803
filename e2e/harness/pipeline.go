package harness

import "fmt"

// Pipeline is how a bridge tracks connections, in the manner of a CMS.
type Pipeline struct {
	Zone uint16
	// Commit is put into the commit's exec(), e.g. "load:0x1->NXM_NX_CT_MARK[]".
	Commit string
	// Table0 are flows put before the others' priority, e.g. to block a port.
	Table0 []string
}

func (p Pipeline) commit() string {
	if p.Commit == "" {
		return fmt.Sprintf("ct(commit,zone=%d)", p.Zone)
	}
	return fmt.Sprintf("ct(commit,zone=%d,exec(%s))", p.Zone, p.Commit)
}

// neighbours lets address resolution pass untracked, as every CMS does.
func neighbours(actions string) []string {
	return []string{
		"table=0,priority=200,arp,actions=" + actions,
		"table=0,priority=200,icmp6,icmp_type=135,actions=" + actions,
		"table=0,priority=200,icmp6,icmp_type=136,actions=" + actions,
	}
}

// tracked is the part that every pipeline has: new connections are committed,
// what belongs to one passes, the invalid is dropped for want of a flow.
func (p Pipeline) tracked(match, actions string) []string {
	var flows []string
	for _, family := range []string{"ip", "ipv6"} {
		for state, first := range map[string]string{"+trk+new-inv": p.commit() + ",", "+trk+est-inv": "", "+trk+rel-inv": ""} {
			flows = append(flows, fmt.Sprintf("table=1,%s%s,ct_state=%s,actions=%s%s", family, match, state, first, actions))
		}
	}
	return flows
}

func (p Pipeline) track() []string {
	var flows []string
	for _, family := range []string{"ip", "ipv6"} {
		flows = append(flows, fmt.Sprintf("table=0,priority=100,%s,ct_state=-trk,actions=ct(table=1,zone=%d)", family, p.Zone))
	}
	return flows
}

// Switch makes a bridge a learning switch that tracks every connection.
func (w *World) Switch(bridge string, p Pipeline) {
	w.T.Helper()
	flows := append(neighbours("NORMAL"), p.track()...)
	flows = append(flows, p.tracked("", "NORMAL")...)
	w.Flows(bridge, append(flows, p.Table0...)...)
}

// Wire makes a bridge a virtual wire between two ports: what comes in at one
// leaves by the other, after conntrack.
func (w *World) Wire(bridge string, p Pipeline, a, b *VM) {
	w.T.Helper()
	var flows []string
	x, y := w.OFPort(a), w.OFPort(b)
	for _, d := range [][2]string{{x, y}, {y, x}} {
		in, out := ",in_port="+d[0], "output:"+d[1]
		for _, f := range neighbours(out) {
			flows = append(flows, f[:len("table=0")]+in+f[len("table=0"):])
		}
		flows = append(flows, p.tracked(in, out)...)
	}
	flows = append(flows, p.track()...)
	w.Flows(bridge, append(flows, p.Table0...)...)
}
