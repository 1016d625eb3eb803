package openflow

import (
	"encoding/binary"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// ruleOf reads back what a flow was made from, as far as it tells: whether that is all of
// it, making the flow once more says.
func ruleOf(f *of.Flow, m *mark, out int32) flows.Rule {
	if m.session == 0 {
		return guardOf(f, m)
	}
	t := flows.Tuple{Src: f.Match.Src, Dst: f.Match.Dst, Proto: f.Match.IPProto}
	if f.Match.Ports {
		t.SrcPort, t.DstPort = f.Match.SrcPort, f.Match.DstPort
	}
	r := flows.Rule{
		Dir: (eswitch.Ref{Handle: m.handle}).Dir(), In: m.link, Out: out,
		Frame: flows.Frame{SrcMAC: f.Match.SrcMAC, DstMAC: f.Match.DstMAC, Tags: tagsOf(&f.Match), Tunnel: arrives(&f.Match, m.in)}, Tuple: t,
	}
	l := leaving{frame: r.Frame, tuple: t, tunnel: m.out}
	l.frame.Tunnel = flows.Ref[flows.Tunnel]{}
	for i := range f.Actions {
		l.take(&f.Actions[i])
	}
	if l.tuple == t {
		l.tuple = flows.Tuple{}
	}
	if l.tunnel.Dst.IsValid() {
		l.frame.Tunnel = flows.RefTo(l.tunnel)
	}
	r.Change = flows.ChangeTo(r.Frame, l.frame, l.hops, l.tuple)
	return r
}

func tagsOf(m *of.Match) (tags flows.Tags) {
	if m.VLAN&of.VLANPresent != 0 {
		tags[0] = flows.Tag{Type: flows.TagCustomer, ID: m.VLAN &^ of.VLANPresent, Priority: m.Priority}
	}
	return tags
}

// leaving is how packets look between two actions.
type leaving struct {
	frame  flows.Frame
	tuple  flows.Tuple
	hops   uint8
	tunnel flows.Tunnel // without a destination: none
}

func (l *leaving) take(a *of.Action) {
	tag := &l.frame.Tags[0]
	switch a.Kind {
	case of.PushVLAN:
		*tag = flows.Tag{Type: a.EthType}
	case of.PopVLAN:
		*tag = flows.Tag{}
	case of.DecTTL:
		l.hops++
	case of.SetField:
		l.set(a.Field, a.Value)
	}
}

// set takes a value, which is as wide as the field.
func (l *leaving) set(f of.Field, value []byte) {
	addr, _ := netip.AddrFromSlice(value)
	switch f {
	case of.EthSrc:
		l.frame.SrcMAC = flows.MAC(value)
	case of.EthDst:
		l.frame.DstMAC = flows.MAC(value)
	case of.VLANID:
		l.frame.Tags[0].ID = binary.BigEndian.Uint16(value) &^ of.VLANPresent
	case of.VLANPriority:
		l.frame.Tags[0].Priority = value[0]
	case of.IPv4Src, of.IPv6Src:
		l.tuple.Src = addr
	case of.IPv4Dst, of.IPv6Dst:
		l.tuple.Dst = addr
	case of.TCPSrc, of.UDPSrc, of.SCTPSrc:
		l.tuple.SrcPort = binary.BigEndian.Uint16(value)
	case of.TCPDst, of.UDPDst, of.SCTPDst:
		l.tuple.DstPort = binary.BigEndian.Uint16(value)
	default:
		l.setTunnel(f, value)
	}
}
