package datapath

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// decodeActions reads a list of actions. Those that a rule cannot repeat, whatever the
// path is, are named as ovs-dpctl(8) does, without all their parameters.
func decodeActions(b []byte) (all []megaflow.Action, err error) {
	a := attrs{b: b, err: &err}
	return a.actions(0), err
}

// maxDepth bounds how deep lists of actions are in each other; the kernel takes 16 levels
// (OVS_COPY_ACTIONS_MAX_DEPTH, net/openvswitch/flow_netlink.c).
const maxDepth = 16

func (a *attrs) actions(depth int) (all []megaflow.Action) {
	a.depth = depth
	for a.next() {
		switch a.typ {
		case actSet, actSetMasked:
			all = append(all, a.set(a.typ == actSetMasked)...)
		default:
			all = append(all, a.action())
		}
	}
	return all
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
	case actPushVLAN:
		b := a.bytes(4)
		tci := big.Uint16(b[2:])
		return megaflow.PushVLAN{Tag: flows.Tag{Type: big.Uint16(b), ID: tci & 0xfff, Priority: uint8(tci >> 13)}}
	case actPopVLAN:
		return megaflow.PopVLAN{}
	case actCheckPktLen:
		return a.checkLength()
	case actDecTTL: // what it does when the TTL is used up is no matter: a rule leaves that alone
		return megaflow.DecTTL{N: 1}
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
	actUserspace: {Reason: flows.UnsupportedUpcall, Name: "userspace(...)"},
	actSample:    {Reason: flows.UnsupportedAction, Name: "sample(...)"},
	actHash:      {Reason: flows.UnsupportedBond, Name: "hash(...)"}, // also of groups that select by hash
	actPushMPLS:  {Reason: flows.UnsupportedAction, Name: "push_mpls(...)"},
	actPopMPLS:   {Reason: flows.UnsupportedAction, Name: "pop_mpls(...)"},
	actPushEth:   {Reason: flows.UnsupportedAction, Name: "push_eth(...)"},
	actPopEth:    {Reason: flows.UnsupportedAction, Name: "pop_eth"},
	actPushNSH:   {Reason: flows.UnsupportedAction, Name: "push_nsh(...)"},
	actPopNSH:    {Reason: flows.UnsupportedAction, Name: "pop_nsh()"},
	actClone:     {Reason: flows.UnsupportedAction, Name: "clone(...)"},
	actAddMPLS:   {Reason: flows.UnsupportedAction, Name: "add_mpls(...)"},
	actDrop:      {Reason: flows.PathDropped, Name: "drop"},
	actPsample:   {Reason: flows.UnsupportedAction, Name: "psample(...)"},
}

// checkLength reads the two lists of check_pkt_len.
func (a *attrs) checkLength() megaflow.Action {
	c := megaflow.CheckLength{Branches: &megaflow.Branches{}}
	if a.depth == maxDepth {
		return unsupported(flows.UnsupportedAction, "check_pkt_len(...)")
	}
	in := a.nest()
	for in.next() {
		list := in.nest()
		switch in.typ {
		case checkLength:
			c.Size = in.u16()
		case checkLonger:
			c.Longer = list.actions(a.depth + 1)
		case checkFits:
			c.Fits = list.actions(a.depth + 1)
		}
	}
	return c
}
