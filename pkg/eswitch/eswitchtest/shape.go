package eswitchtest

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// Shape says how packets of a session look at the two ports, and what is done to them
// in between.
type Shape struct {
	Name   string
	Proto  flows.Proto
	V6     bool
	A, B   flows.Tags
	Tunnel flows.Tunnel // that packets leave in at B; replies come in one; zero: none
	Hops   uint8
	NAT    func(t flows.Tuple) flows.Tuple // of the original direction
}

var (
	vlan7  = flows.Tag{Type: flows.TagCustomer, ID: 7}
	vlan9  = flows.Tag{Type: flows.TagCustomer, ID: 9, Priority: 5}
	svlan8 = flows.Tag{Type: flows.TagProvider, ID: 8}
)

// geneve is a tunnel with an option as OVN has it.
var geneve = flows.Tunnel{
	Src: netip.MustParseAddr("198.51.100.1"), Dst: netip.MustParseAddr("198.51.100.2"), ID: 0x123456, Port: 6081,
	Options: "\x01\x02\x80\x01\x00\x03\x00\x04", TOS: 0x28, TTL: 64, Checksum: true,
}

// vxlan6 is a tunnel over IPv6 whose port and source the device chooses.
var vxlan6 = flows.Tunnel{Dst: netip.MustParseAddr("2001:db8:f::2"), ID: 5, TTL: 32}

func translate(srcPort, dstPort uint16) func(flows.Tuple) flows.Tuple {
	return func(t flows.Tuple) flows.Tuple {
		if t.IsIPv6() {
			t.Src, t.Dst = netip.MustParseAddr("2001:db8:a::1"), netip.MustParseAddr("2001:db8:b::2")
		} else {
			t.Src, t.Dst = netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
		}
		if t.Proto.HasPorts() {
			t.SrcPort, t.DstPort = srcPort, dstPort
		}
		return t
	}
}

// onlySource is what SNAT does that keeps the port.
func onlySource(t flows.Tuple) flows.Tuple {
	t.Src = netip.MustParseAddr("203.0.113.9")
	return t
}

// Shapes are sessions of every kind that rules can say beyond the plain ones.
var Shapes = []Shape{
	{Name: "tagged", Proto: flows.TCP, A: flows.Tags{vlan7}, B: flows.Tags{vlan7}},
	{Name: "tagged by a provider", Proto: flows.UDP, A: flows.Tags{svlan8}, B: flows.Tags{svlan8}},
	{Name: "tagged twice", Proto: flows.TCP, V6: true, A: flows.Tags{svlan8, vlan7}, B: flows.Tags{svlan8, vlan7}},
	{Name: "from access to trunk", Proto: flows.TCP, B: flows.Tags{vlan9}},
	{Name: "other tag", Proto: flows.ESP, A: flows.Tags{vlan7}, B: flows.Tags{vlan9}},
	{Name: "other type of tag", Proto: flows.UDP, V6: true, A: flows.Tags{vlan7}, B: flows.Tags{svlan8}},
	{Name: "tags put on", Proto: flows.SCTP, B: flows.Tags{svlan8, vlan7}},
	{Name: "tag put on", Proto: flows.TCP, A: flows.Tags{vlan7}, B: flows.Tags{svlan8, vlan7}},
	{Name: "inner tag", Proto: flows.TCP, A: flows.Tags{svlan8, vlan7}, B: flows.Tags{svlan8, vlan9}},
	{Name: "routed", Proto: flows.TCP, Hops: 1},
	{Name: "routed thrice", Proto: flows.UDP, V6: true, Hops: flows.MaxHops},
	{Name: "routed between tags", Proto: flows.UDP, A: flows.Tags{vlan7}, B: flows.Tags{vlan9}, Hops: 1},
	{Name: "routed with two tags", Proto: flows.TCP, V6: true, A: flows.Tags{svlan8, vlan7}, B: flows.Tags{svlan8, vlan7}, Hops: 2},
	{Name: "floating IP", Proto: flows.TCP, Hops: 1, NAT: translate(40000, 443)},
	{Name: "ports", Proto: flows.UDP, NAT: translate(1024, 53)},
	{Name: "NAT over IPv6", Proto: flows.TCP, V6: true, Hops: 2, NAT: translate(1025, 80)},
	{Name: "NAT of UDP over IPv6", Proto: flows.UDP, V6: true, NAT: translate(40000, 443)},
	{Name: "NAT without ports", Proto: flows.ESP, NAT: translate(0, 0)},
	{Name: "NAT of SCTP", Proto: flows.SCTP, Hops: 1, NAT: translate(40000, 443)},
	{Name: "SNAT", Proto: flows.UDP, NAT: onlySource},
	{Name: "Geneve", Proto: flows.TCP, Tunnel: geneve},
	{Name: "Geneve, routed", Proto: flows.UDP, V6: true, Tunnel: geneve, Hops: 1},
	{Name: "Geneve from a tag", Proto: flows.GRE, A: flows.Tags{vlan7}, Tunnel: geneve},
	{Name: "Geneve with a tag inside", Proto: flows.TCP, A: flows.Tags{vlan7}, B: flows.Tags{vlan7}, Tunnel: geneve, Hops: 1},
	{Name: "VXLAN over IPv6", Proto: flows.TCP, Tunnel: vxlan6, Hops: 1, NAT: translate(2000, 3000)},
}

// Shaped returns the nth session of a shape.
func (r *Rig) Shaped(n int, s Shape) flows.Session {
	session := r.Session(n, s.Proto, s.V6)
	there, back := &session.Rules[0], &session.Rules[1]
	there.Tags, back.Tags = s.A, s.B
	leaveA := flows.Frame{SrcMAC: there.DstMAC, DstMAC: there.SrcMAC, Tags: s.A}
	leaveB := flows.Frame{SrcMAC: back.DstMAC, DstMAC: back.SrcMAC, Tags: s.B}
	if s.Hops > 0 { // routers have addresses of their own
		leaveB.SrcMAC = flows.MAC{2, 0, 0, 0, 0, 3}
		back.DstMAC = leaveB.SrcMAC
		leaveB.DstMAC = flows.MAC{2, 0, 0, 0, 0, 4}
		back.SrcMAC = leaveB.DstMAC
	}
	if s.Tunnel != (flows.Tunnel{}) {
		leaveB.Tunnel, back.Tunnel = flows.RefTo(s.Tunnel), flows.RefTo(arriving(s.Tunnel))
	}
	var to, from flows.Tuple
	if s.NAT != nil {
		to = s.NAT(there.Tuple)
		back.Tuple, from = to.Reverse(), there.Tuple.Reverse()
	}
	there.Change = flows.ChangeTo(there.Frame, leaveB, s.Hops, to)
	back.Change = flows.ChangeTo(back.Frame, leaveA, s.Hops, from)
	return session
}

// arriving is how the packets look that come back through a tunnel.
func arriving(t flows.Tunnel) flows.Tunnel {
	if !t.Src.IsValid() {
		t.Src = t.Dst.Next()
	}
	return flows.Tunnel{Src: t.Dst, Dst: t.Src, ID: t.ID, Port: t.Port, Options: t.Options}
}
