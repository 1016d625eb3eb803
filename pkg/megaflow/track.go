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
	csSrcNAT      = 0x40
	csDstNAT      = 0x80
	csNAT         = csSrcNAT | csDstNAT
)

// entry is what the packet's buffer has of conntrack: it stays until the packet is sent
// to another zone, or conntrack is cleared.
type entry struct {
	state *flows.ZoneState // nil: nothing
	index int              // of Connection.States
	dir   flows.Dir
	tuple flows.Tuple // by which the packet was addressed when it was looked up
	to    flows.Tuple // what that is translated to
}

// track sends the packet through conntrack, as ovs_ct_execute does
// (net/openvswitch/conntrack.c). The key has the new fields at once; nothing looks
// at them before the packet is matched anew.
func (w *walk) track(a *CT) error {
	nat, known := uint64(0), uint64(csNAT)
	if e := w.entry.state; e == nil || e.Zone != a.Zone {
		if err := w.find(a.Zone); err != nil {
			return err
		}
	} else { // skb_nfct_cached: by whatever tuple it is addressed now
		nat, known = w.packet.Key.Uint(CTState)&csNAT, w.packet.Known.Uint(CTState)&csNAT
	}
	state, reply := w.entry.state, w.entry.dir == flows.Reply
	if err := harmless(a, state, reply); err != nil {
		return err
	}
	w.path.passed(a.Zone, w.entry.index)
	if a.NAT && nat == 0 && known == csNAT { // once in each zone
		var err error
		if nat, known, err = w.translate(a); err != nil {
			return err
		}
	}
	w.packet.tracked(state, reply, nat, known)
	return nil
}

// find looks the packet up in a zone.
func (w *walk) find(zone flows.Zone) error {
	for i := range w.conn.States {
		s := &w.conn.States[i]
		if s.Zone != zone {
			continue
		}
		if dir, to, ok := s.Translate(w.tuple); ok {
			w.entry = entry{s, i, dir, w.tuple, to}
			return nil
		}
	}
	return refuse(flows.ZoneUnknown, "not established in zone %d as %s", zone, w.tuple)
}

// translate does what the entry says, also where the action has a range, which is for
// new connections. It returns the bits of ct_state that the packet gets, which say what
// was tried rather than what was changed (nf_ct_nat, net/netfilter/nf_nat_ovs.c; before
// Linux 6.2 ovs_ct_nat): a connection whose destination is translated has +snat as well
// on its way there. The userspace datapath gives it +dnat alone, so that bit is taken
// for unknown.
func (w *walk) translate(a *CT) (nat, known uint64, err error) {
	s, reply := w.entry.state, w.entry.dir == flows.Reply
	to := s.Reply.Reverse()
	src := s.Tuple.Src != to.Src || s.Tuple.SrcPort != to.SrcPort
	dst := s.Tuple.Dst != to.Dst || s.Tuple.DstPort != to.DstPort
	if !src && !dst {
		if a.NATSrc {
			nat |= csSrcNAT
		}
		if a.NATDst {
			nat |= csDstNAT
		}
		return nat, csNAT, nil
	}
	if w.tuple != w.entry.tuple {
		return 0, 0, refuse(flows.UnsupportedNAT, "ct(zone=%d,nat) behind another change of the addresses", a.Zone)
	}
	w.tuple = w.entry.to
	w.packet.setTuple(w.tuple)
	switch {
	case src && dst:
		return csNAT, csNAT, nil
	case src && reply:
		return csDstNAT, csNAT, nil
	case src, reply:
		return csSrcNAT, csNAT, nil
	}
	return csDstNAT, csDstNAT, nil
}

// harmless refuses what changes more than the packet's own fields.
func harmless(a *CT, s *flows.ZoneState, reply bool) error {
	switch labels := Labels(s.Labels); {
	case a.Helper != "":
		return refuse(flows.UnsupportedAction, "ct(zone=%d,helper=%s)", a.Zone, a.Helper)
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

// tracked gives the packet the fields of its entry, as ovs_ct_update_key does. nat are
// the bits of ct_state for what was translated, of which some may not be known.
func (p *Packet) tracked(s *flows.ZoneState, reply bool, nat, known uint64) {
	state := csTracked | csEstablished | nat
	if reply {
		state |= csReply
	}
	p.SetBits(CTState, state, ^uint64(csNAT)|known)
	p.SetUint(CTZone, uint64(s.Zone))
	p.SetUint(CTMark, uint64(s.Mark))
	p.SetWide(CTLabel, Labels(s.Labels))
	p.SetUint(CTIPProto, p.Key.Uint(IPProto))
	p.SetWide(CTIPSrc, wide(s.Tuple.Src))
	p.SetWide(CTIPDst, wide(s.Tuple.Dst))
	switch s.Tuple.Proto {
	case flows.GRE, flows.DCCP, flows.ICMP, flows.ICMPv6: // conntrack reads there what OVS does not
		p.SetBits(CTTPSrc, 0, 0)
		p.SetBits(CTTPDst, 0, 0)
	default:
		p.SetUint(CTTPSrc, uint64(s.Tuple.SrcPort))
		p.SetUint(CTTPDst, uint64(s.Tuple.DstPort))
	}
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
