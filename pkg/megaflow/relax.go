package megaflow

import (
	"encoding/binary"

	"github.com/flowshunt/flowshunt/flows"
)

// Relax takes conditions out of a flow that are only there because of how OVS says
// what it does, and reports whether there were any.
//
// A datapath is not told to lower a TTL, but to set it to 63, in a flow that matches 64.
// That becomes a DecTTL, without the condition. Nothing else of the flow depends on it
// unless OpenFlow matches the TTL, which it can by its exact value only: OVN asks for 0
// and 1, which packets of a rule do not have on their way, having more than flows.MaxHops
// when they come in. Whether something depends on another value, a flow cannot tell.
//
// A tunnel inherits ECN (tnl_port_send, ofproto/tunnel.c), so a flow into one matches the
// two bits. The kernel's tunnel devices inherit them by themselves (ip_tunnel_ecn_encap),
// so the condition goes.
//
// It also overwrites the packet's mark where options:egress_pkt_mark says so, and matches
// the mark that it overwrites (the same function). Neutron sets it to 0.
func (f *Flow) Relax() bool {
	ttl, ecn, mark := f.relaxTTL(), f.relaxECN(), f.relaxMark()
	return ttl || ecn || mark
}

func (f *Flow) relaxMark() bool {
	if f.Match.Mask.Uint(SkbMark) != 1<<32-1 || f.Match.Key.Uint(SkbMark) != 0 || !anyWraps(f.Actions) {
		return false
	}
	f.Match.SetUint(SkbMark, 0, 0)
	return true
}

func (f *Flow) relaxTTL() bool {
	if f.Match.Mask.Uint(IPTTL) != 255 {
		return false
	}
	ttl := f.Match.Key.Uint(IPTTL)
	after, ok := lowered(f.Actions, ttl)
	if !ok || after == nil && ttl <= flows.MaxHops {
		return false
	}
	if after != nil {
		f.Actions = after
	}
	f.Match.SetUint(IPTTL, 0, 0)
	f.AnyTTL = true
	return true
}

// lowered returns actions in which the TTL is lowered instead of set; nil where it is not
// set. ok is false where it is set to something else.
func lowered(actions []Action, ttl uint64) (after []Action, ok bool) {
	for i, a := range actions {
		var by Action
		switch a := a.(type) {
		case Set:
			if a.Field != IPTTL {
				continue
			}
			to := binary.BigEndian.Uint64(a.Value[8:])
			if a.Mask[15] != 255 || to >= ttl || ttl-to > flows.MaxHops {
				return nil, false
			}
			by, ttl = DecTTL{uint8(ttl - to)}, to
		case CheckLength:
			if a.Branches == nil {
				continue
			}
			longer, ok1 := lowered(a.Longer, ttl)
			fits, ok2 := lowered(a.Fits, ttl)
			if !ok1 || !ok2 {
				return nil, false
			}
			if longer == nil && fits == nil {
				continue
			}
			branches := *a.Branches
			if longer != nil {
				branches.Longer = longer
			}
			if fits != nil {
				branches.Fits = fits
			}
			by = CheckLength{a.Size, &branches}
		default:
			continue
		}
		if after == nil {
			after = append(after, actions...)
		}
		after[i] = by
	}
	return after, true
}

// ecn are the bits of a TOS that say whether there is congestion.
const ecn = 3

func (f *Flow) relaxECN() bool {
	if f.Match.Mask.Uint(IPTOS)&ecn == 0 || f.Match.Mask.Uint(IPTOS)&^ecn != 0 || !anyWraps(f.Actions) {
		return false
	}
	f.Match.SetUint(IPTOS, 0, 0)
	return true
}

func wraps(a Action) bool {
	switch a := a.(type) {
	case Encap, TunnelOutput:
		return true
	case CheckLength:
		return a.Branches != nil && (anyWraps(a.Longer) || anyWraps(a.Fits))
	}
	return false
}

func anyWraps(actions []Action) bool {
	for _, a := range actions {
		if wraps(a) {
			return true
		}
	}
	return false
}
