package megaflow

import (
	"encoding/binary"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// Bits of ct_state (OVS_CS_F_*, include/uapi/linux/openvswitch.h).
const (
	csEstablished = 0x02
	csReply       = 0x08
	csTracked     = 0x20
)

// track sends the packet through conntrack, as ovs_ct_execute does
// (net/openvswitch/conntrack.c). The key has the new fields at once; nothing looks
// at them before the packet is matched anew.
func (w *walk) track(a *CT) error {
	i := slices.IndexFunc(w.conn.States, func(s flows.ZoneState) bool {
		_, _, ok := s.Translate(w.conn.Tuple)
		return ok && s.Zone == a.Zone
	})
	if i < 0 {
		return refuse(flows.ZoneUnknown, "not established in zone %d", a.Zone)
	}
	state := &w.conn.States[i]
	dir, _, _ := state.Translate(w.conn.Tuple)
	reply := dir == flows.Reply
	if err := harmless(a, state, reply); err != nil {
		return err
	}
	w.path.Zones = append(w.path.Zones, a.Zone)
	w.packet.tracked(state, reply)
	return nil
}

// harmless refuses what changes more than the packet's own fields.
func harmless(a *CT, s *flows.ZoneState, reply bool) error {
	switch labels := Labels(s.Labels); {
	case a.Helper != "":
		return refuse(flows.UnsupportedAction, "ct(zone=%d,helper=%s)", a.Zone, a.Helper)
	case a.NATRange:
		// Nothing is translated where the entry is not, but nf_ct_nat_execute
		// (net/netfilter/nf_nat_ovs.c) reports that the range was applied, and the packet
		// has +snat or +dnat from there on. A bare nat() returns before that.
		return refuse(flows.UnsupportedNAT, "ct(zone=%d,nat(...))", a.Zone)
	case a.Force && reply:
		// skb_nfct_cached deletes an entry that stands the other way round.
		return refuse(flows.UnsupportedAction, "ct(zone=%d,force_commit) in the reply direction", a.Zone)
	case !a.Commit:
		return nil
	case (a.Mark^s.Mark)&a.MarkMask != 0:
		return refuse(flows.UnsupportedAction, "ct(zone=%d,commit,mark=%#x/%#x) changes mark %#x", a.Zone, a.Mark, a.MarkMask, s.Mark)
	case !agree(a.Labels, labels, a.LabelsMask):
		return refuse(flows.UnsupportedAction, "ct(zone=%d,commit,label=...) changes the label", a.Zone)
	case a.LabelsMask != [16]byte{} && labels == [16]byte{}:
		// ovs_ct_set_labels fails, and the packet is dropped, where the entry has no room
		// for labels; ctnetlink tells that as it tells labels that are all zero.
		return refuse(flows.UnsupportedAction, "ct(zone=%d,commit,label=...) of an entry without labels", a.Zone)
	}
	return nil
}

func agree(a, b, mask [16]byte) bool {
	for i := range mask {
		if (a[i]^b[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}

// Labels returns the labels of an entry as a Key has them: most significant byte
// first. The kernel keeps one number of 128 bits in the machine's byte order.
func Labels(kernel [16]byte) [16]byte {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		slices.Reverse(kernel[:])
	}
	return kernel
}

// tracked gives the packet the fields of its entry, as ovs_ct_update_key does.
func (p *Packet) tracked(s *flows.ZoneState, reply bool) {
	state := uint64(csTracked | csEstablished)
	from, to, fromPort, toPort := IPSrc, IPDst, TPSrc, TPDst
	if reply {
		state |= csReply
		from, to, fromPort, toPort = to, from, toPort, fromPort
	}
	p.SetUint(CTState, state)
	p.SetUint(CTZone, uint64(s.Zone))
	p.SetUint(CTMark, uint64(s.Mark))
	p.SetWide(CTLabel, Labels(s.Labels))
	p.SetUint(CTIPProto, p.Key.Uint(IPProto))
	p.SetWide(CTIPSrc, p.Key.Wide(from))
	p.SetWide(CTIPDst, p.Key.Wide(to))
	fromKnown, toKnown := p.Known.Uint(fromPort), p.Known.Uint(toPort)
	switch flows.Proto(p.Key.Uint(IPProto)) {
	case flows.GRE, flows.DCCP: // conntrack reads there what OVS does not
		fromKnown, toKnown = 0, 0
	}
	p.SetBits(CTTPSrc, p.Key.Uint(fromPort), fromKnown)
	p.SetBits(CTTPDst, p.Key.Uint(toPort), toKnown)
}

// untracked takes the fields of conntrack away (ovs_ct_clear). The kernel leaves the
// addresses of the original direction as they were, but OVS lets nobody match on
// them without ct_state=+trk (ovs-fields(7)).
func (p *Packet) untracked() {
	for _, f := range [...]Field{CTState, CTZone, CTMark, CTIPProto, CTTPSrc, CTTPDst} {
		p.SetUint(f, 0)
	}
	for _, f := range [...]Field{CTLabel, CTIPSrc, CTIPDst} {
		p.SetWide(f, [16]byte{})
	}
}
