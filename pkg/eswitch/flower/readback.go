package flower

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// ruleOf reads back what the rule was made from, as far as the filter tells: whether
// that is all of it, making the filter once more says. A kernel that does not know DF
// does not tell it.
func ruleOf(f *tc.Filter, dir flows.Dir, tellsDF bool) flows.Rule {
	m := &f.Match
	r := flows.Rule{
		Dir:   dir,
		In:    f.Link,
		Frame: flows.Frame{SrcMAC: m.SrcMAC.Value, DstMAC: m.DstMAC.Value, Tags: tagsOf(f)},
		Tuple: flows.Tuple{
			Src: m.Src.Value, Dst: m.Dst.Value,
			SrcPort: m.SrcPort.Value, DstPort: m.DstPort.Value,
			Proto: flows.Proto(m.IPProto),
		},
	}
	if t := &m.Tunnel; *t != (tc.TunnelMatch{}) {
		r.Tunnel = flows.RefTo(flows.Tunnel{
			Src: t.Src.Value, Dst: t.Dst.Value, ID: t.ID.Value, Port: t.DstPort.Value, Options: string(t.Options.Value),
		})
	}
	l := leaving{frame: r.Frame, tuple: r.Tuple, tellsDF: tellsDF}
	for i := range f.Actions {
		l.take(&f.Actions[i])
	}
	if l.tuple == r.Tuple {
		l.tuple = flows.Tuple{}
	}
	r.Out, r.Change = l.out, flows.ChangeTo(r.Frame, l.frame, l.hops, l.tuple)
	return r
}

// guardOf is ruleOf for a guard.
func guardOf(f *tc.Filter) flows.Rule {
	m := &f.Match
	tags := tagsOf(f)
	r := flows.Rule{In: f.Link, Frame: flows.Frame{Tags: flows.Tags{{Type: tags[0].Type}, {Type: tags[1].Type}}}}
	any := netip.IPv4Unspecified()
	if f.Protocol == tc.ProtocolIPv6 || m.VLAN.EthType == tc.ProtocolIPv6 || m.CVLAN.EthType == tc.ProtocolIPv6 {
		any = netip.IPv6Unspecified()
	}
	r.Tuple = flows.Tuple{Src: any, Dst: any}
	if t := &m.Tunnel; *t != (tc.TunnelMatch{}) {
		r.Tunnel = flows.RefTo(flows.Tunnel{Dst: t.Dst.Value, Port: t.DstPort.Value})
	}
	return r
}

func tagsOf(f *tc.Filter) (tags flows.Tags) {
	typ := f.Protocol
	for i, m := range []*tc.VLANMatch{&f.Match.VLAN, &f.Match.CVLAN} {
		if typ != flows.TagCustomer && typ != flows.TagProvider {
			break
		}
		tags[i] = flows.Tag{Type: typ, ID: m.TCI.Value & 0xfff, Priority: uint8(m.TCI.Value >> 13)}
		typ = m.EthType
	}
	return tags
}

// leaving is how packets look between two actions.
type leaving struct {
	frame flows.Frame
	tuple flows.Tuple
	hops  uint8
	out   int32

	tellsDF bool
}

func (l *leaving) take(a *tc.Action) {
	switch a.Kind {
	case tc.KindMirred:
		l.out = a.Link
	case tc.KindTunnelKey:
		l.frame.Tunnel = flows.Ref[flows.Tunnel]{}
		if a.Tunnel.Op == tc.TunnelSet {
			l.frame.Tunnel = flows.RefTo(tunnelOf(&a.Tunnel, l.tellsDF))
		}
	case tc.KindVLAN:
		l.retag(&a.VLAN)
	case tc.KindPedit:
		l.rewrite(&a.Rewrite)
	case tc.KindNAT:
		if a.NAT.Source {
			l.tuple.Src = a.NAT.New
		} else {
			l.tuple.Dst = a.NAT.New
		}
	}
}

func (l *leaving) retag(v *tc.VLANChange) {
	tags := &l.frame.Tags
	tag := flows.Tag{Type: v.Protocol, ID: v.TCI.Value & 0xfff, Priority: uint8(v.TCI.Value >> 13)}
	switch v.Op {
	case tc.VLANPop:
		*tags = flows.Tags{tags[1]}
	case tc.VLANModify:
		tags[0] = tag
	case tc.VLANPush:
		*tags = flows.Tags{tag, tags[0]}
	}
}

func (l *leaving) rewrite(w *tc.Rewrite) {
	if w.SrcMAC.Mask != [6]byte{} {
		l.frame.SrcMAC = w.SrcMAC.Value
	}
	if w.DstMAC.Mask != [6]byte{} {
		l.frame.DstMAC = w.DstMAC.Value
	}
	if w.Src.Mask.IsValid() {
		l.tuple.Src = w.Src.Value
	}
	if w.Dst.Mask.IsValid() {
		l.tuple.Dst = w.Dst.Value
	}
	if w.SrcPort.Mask != 0 {
		l.tuple.SrcPort = w.SrcPort.Value
	}
	if w.DstPort.Mask != 0 {
		l.tuple.DstPort = w.DstPort.Value
	}
	l.hops -= w.TTLAdd
}

func tunnelOf(k *tc.TunnelKey, tellsDF bool) flows.Tunnel {
	t := flows.Tunnel{
		Src: k.Src, Dst: k.Dst, ID: k.ID, Port: k.DstPort, Options: string(k.Options), TOS: k.TOS, TTL: k.TTL,
		Checksum: !k.NoChecksum, MayBreak: tellsDF && !k.NoFragment,
	}
	if t.Src.IsUnspecified() {
		t.Src = netip.Addr{}
	}
	return t
}
