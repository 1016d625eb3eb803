package datapath

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// decodeActions reads a list of actions. Those that a rule cannot repeat are named
// as ovs-dpctl(8) does, without all their parameters.
func decodeActions(b []byte) (all []megaflow.Action, err error) {
	a := attrs{b: b, err: &err}
	for a.next() {
		all = append(all, a.action())
	}
	return all, err
}

func (a *attrs) action() megaflow.Action {
	switch a.typ {
	case actOutput:
		return megaflow.Output{Port: a.u32()}
	case actRecirc:
		return megaflow.Recirc{ID: a.u32()}
	case actCT:
		return a.ct()
	case actCTClear:
		return megaflow.CTClear{}
	case actSet, actSetMasked:
		return a.set(a.typ == actSetMasked)
	case actPushVLAN:
		tci := big.Uint16(a.bytes(4)[2:])
		return unsupported(flows.UnsupportedVLAN, "push_vlan(vid=%d,pcp=%d)", tci&0xfff, tci>>13)
	case actTrunc:
		return unsupported(flows.UnsupportedAction, "trunc(%d)", a.u32())
	case actMeter:
		return unsupported(flows.UnsupportedAction, "meter(%d)", a.u32())
	}
	if u, ok := refused[a.typ]; ok {
		return u
	}
	return unsupported(flows.UnsupportedAction, "action%d", a.typ)
}

func unsupported(reason flows.Reason, format string, args ...any) megaflow.Action {
	return megaflow.Unsupported{Reason: reason, Name: fmt.Sprintf(format, args...)}
}

// refused are the actions that are named without their parameters.
var refused = map[uint16]megaflow.Unsupported{
	actUserspace:   {Reason: flows.UnsupportedUpcall, Name: "userspace(...)"},
	actPopVLAN:     {Reason: flows.UnsupportedVLAN, Name: "pop_vlan"},
	actSample:      {Reason: flows.UnsupportedAction, Name: "sample(...)"},
	actHash:        {Reason: flows.UnsupportedAction, Name: "hash(...)"},
	actPushMPLS:    {Reason: flows.UnsupportedAction, Name: "push_mpls(...)"},
	actPopMPLS:     {Reason: flows.UnsupportedAction, Name: "pop_mpls(...)"},
	actPushEth:     {Reason: flows.UnsupportedAction, Name: "push_eth(...)"},
	actPopEth:      {Reason: flows.UnsupportedAction, Name: "pop_eth"},
	actPushNSH:     {Reason: flows.UnsupportedAction, Name: "push_nsh(...)"},
	actPopNSH:      {Reason: flows.UnsupportedAction, Name: "pop_nsh()"},
	actClone:       {Reason: flows.UnsupportedAction, Name: "clone(...)"},
	actCheckPktLen: {Reason: flows.UnsupportedAction, Name: "check_pkt_len(...)"},
	actAddMPLS:     {Reason: flows.UnsupportedAction, Name: "add_mpls(...)"},
	actDecTTL:      {Reason: flows.UnsupportedAction, Name: "dec_ttl(...)"},
	actDrop:        {Reason: flows.PathDropped, Name: "drop"},
	actPsample:     {Reason: flows.UnsupportedAction, Name: "psample(...)"},
}

// set reads what is set. The attribute holds one of a key; with a mask, that has
// the value's length again.
func (a *attrs) set(masked bool) megaflow.Action {
	inner := a.nest()
	if !inner.next() {
		return unsupported(flows.UnsupportedAction, "set()")
	}
	mask := inner.val
	if masked {
		mask = mask[len(mask)/2:]
	}
	reason := flows.UnsupportedAction
	switch inner.typ {
	case keyTunnel:
		reason = flows.UnsupportedTunnel
	case keyEthernet:
		reason = flows.UnsupportedRouted
	case keyIPv4:
		if !masked || touches(mask, 0, 9) || touches(mask, 10, 11) {
			reason = flows.UnsupportedRouted
		}
	case keyIPv6:
		if !masked || touches(mask, 0, 32) || touches(mask, 38, 39) {
			reason = flows.UnsupportedRouted
		}
	}
	return unsupported(reason, "set(%s(...))", keyName(int(inner.typ)))
}

// touches reports whether a mask has a bit in the bytes [from,to).
func touches(mask []byte, from, to int) bool {
	return !zero(mask[min(from, len(mask)):min(to, len(mask))])
}
