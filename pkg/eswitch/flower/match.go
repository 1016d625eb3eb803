package flower

import (
	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// noControl matches TCP packets without FIN, SYN and RST: these must stay in
// sight of the slow path.
var noControl = tc.Match16{Value: 0, Mask: 0x07}

// fewHops matches a TTL, or hop limit, that some rule could take to zero.
var fewHops = tc.Match8{Value: 0, Mask: ^uint8(flows.MaxHops)}

// A mask can say that only because MaxHops+1 is a power of two: anything else does not
// compile.
var _ [0]struct{} = [flows.MaxHops & (flows.MaxHops + 1)]struct{}{}

// matchOf matches the packets of a rule: all of how they look, also the priorities of
// their tags. What looks otherwise was not what the path was found for.
func matchOf(r *flows.Rule) tc.Match {
	m := tc.Match{
		SrcMAC:  tc.ExactMAC(r.SrcMAC),
		DstMAC:  tc.ExactMAC(r.DstMAC),
		IPProto: uint8(r.Tuple.Proto),
		Src:     tc.ExactAddr(r.Tuple.Src),
		Dst:     tc.ExactAddr(r.Tuple.Dst),
		Frag:    tc.NoFragments,
	}
	if r.Tuple.Proto.HasPorts() {
		m.SrcPort, m.DstPort = tc.ExactPort(r.Tuple.SrcPort), tc.ExactPort(r.Tuple.DstPort)
	}
	if r.Tuple.Proto == flows.TCP {
		m.TCPFlags = noControl
	}
	matchTags(&m, r)
	for i, tag := range []*tc.VLANMatch{&m.VLAN, &m.CVLAN} {
		if t := r.Tags[i]; !t.IsZero() {
			tag.TCI = tc.VLANTag(t.ID, t.Priority)
		}
	}
	if !r.Tunnel.IsZero() {
		m.Tunnel = tunnelMatch(r.Tunnel.Value())
	}
	return m
}

// matchTags matches the types of the tags, and what follows them.
func matchTags(m *tc.Match, r *flows.Rule) {
	switch r.Tags.Len() {
	case 1:
		m.VLAN.EthType = network(r.Tuple.IsIPv6())
	case 2:
		m.VLAN.EthType, m.CVLAN.EthType = r.Tags[1].Type, network(r.Tuple.IsIPv6())
	}
}

// tunnelMatch matches the outer header. Without options packets match that have any:
// tc cannot ask for none.
func tunnelMatch(t flows.Tunnel) tc.TunnelMatch {
	m := tc.TunnelMatch{
		ID: tc.Exact32(t.ID), Src: tc.ExactAddr(t.Src), Dst: tc.ExactAddr(t.Dst),
		Options: tc.ExactGeneve(tc.GeneveOptions(t.Options)),
	}
	if t.Port != 0 {
		m.DstPort = tc.ExactPort(t.Port)
	}
	return m
}

// guardMatch matches the packets that a guard keeps in the slow path.
func guardMatch(r *flows.Rule) tc.Match {
	m := tc.Match{TTL: fewHops}
	matchTags(&m, r)
	if t := r.Tunnel.Value(); !r.Tunnel.IsZero() { // drivers want to know which tunnel it is
		m.Tunnel.Dst = tc.ExactAddr(t.Dst)
		if t.Port != 0 {
			m.Tunnel.DstPort = tc.ExactPort(t.Port)
		}
	}
	return m
}
