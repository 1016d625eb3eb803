package harness

import (
	"fmt"
	"strings"
)

// Inspected is a virtual wire through an inspector: two machines, and the inspector's two
// ports between theirs.
type Inspected struct {
	*Pair
	IPS   *Suricata
	Zones [2]uint16 // of conntrack, at A's end and at B's
}

// InspectedPair is a wire br0 through Suricata, without any flow yet: see WireThrough. The
// machines send packets as they would be on a wire, as large as they may be.
func InspectedPair(w *World, cfg SuricataConfig) *Inspected {
	w.T.Helper()
	w.Bridge("br0")
	p := &Pair{World: w, A: w.AddVM("br0", "vm1", VMConfig{}), B: w.AddVM("br0", "vm2", VMConfig{})}
	i := &Inspected{Pair: p, Zones: [2]uint16{65001, 65002}}
	i.Segments("off")
	i.IPS = w.Suricata("br0", cfg)
	return i
}

// WireThrough makes the bridge lead every packet through the inspector, each end with a
// conntrack zone of its own, as an agent does that owns the wire.
func (w *Inspected) WireThrough() {
	w.T.Helper()
	var flows []string
	for i, vm := range []*VM{w.A, w.B} {
		port := w.OFPort(vm)
		inspector := strings.TrimSpace(w.Vsctl("get", "interface", w.IPS.Ports[i], "ofport"))
		for _, d := range [][2]string{{port, inspector}, {inspector, port}} {
			flows = append(flows, fmt.Sprintf("table=0,priority=1,in_port=%s,actions=output:%s", d[0], d[1]))
			for _, family := range []string{"ip", "ipv6"} {
				flows = append(flows, fmt.Sprintf("table=0,priority=2,in_port=%s,%s,actions=ct(commit,zone=%d),output:%s", d[0], family, w.Zones[i], d[1]))
			}
		}
	}
	w.Flows("br0", flows...)
	w.A.Ping(w.T, w.B.IP4)
}

// The preference of rules that a story makes by hand.
const handmade = "100"

// Bypass makes the rules that an agent would make for the TCP connection to port 9000 from
// this port: past OVS and the inspector, but for SYN, FIN and RST.
func (w *Inspected) Bypass(sport uint16) {
	w.T.Helper()
	ends := []struct{ in, out *VM }{{w.A, w.B}, {w.B, w.A}}
	for i, e := range ends {
		_, _ = w.Try("tc", "qdisc", "add", "dev", e.in.Rep, "clsact") // if it has none
		src, dst := fmt.Sprint(sport), "9000"
		if i == 1 {
			src, dst = dst, src
		}
		w.Run(w.T, strings.Fields(fmt.Sprintf("tc filter add dev %s ingress prio %s protocol ip flower skip_hw src_mac %s dst_mac %s ip_proto tcp ip_flags nofrag src_ip %v dst_ip %v src_port %s dst_port %s tcp_flags 0x0/0x7 action mirred egress redirect dev %s",
			e.in.Rep, handmade, e.in.MAC, e.out.MAC, e.in.IP4, e.out.IP4, src, dst, e.out.Rep))...)
	}
}

// Inspect removes all rules that Bypass has made.
func (w *Inspected) Inspect() {
	w.T.Helper()
	for _, vm := range []*VM{w.A, w.B} {
		w.Run(w.T, "tc", "filter", "del", "dev", vm.Rep, "ingress", "prio", handmade)
	}
}

// State is what the conntrack zone at one end, 0 or 1, says of the TCP connection from
// this port; empty: nothing.
func (w *Inspected) State(end int, sport uint16) string {
	w.T.Helper()
	entries, err := w.Conntrack("-p", "tcp", "--orig-port-src", fmt.Sprint(sport), "-w", fmt.Sprint(w.Zones[end]))
	if err != nil {
		w.T.Fatal(err)
	}
	for _, e := range entries {
		return e.State
	}
	return ""
}

// Segments says whether the machines leave it to their devices to cut what they send into
// packets: with "off" they are what they would be on a wire, which an inspector on AF_PACKET
// demands; with "on" several at once pass OVS and rules, three times as fast.
func (w *Inspected) Segments(state string) {
	w.T.Helper()
	for _, vm := range []*VM{w.A, w.B} {
		vm.Run(w.T, "ethtool", "-K", "eth0", "tx", state, "tso", state, "gro", state, "sg", "on", "gso", "on")
	}
}
