package datapath

import (
	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// settable are the key attributes of which a Set can have the fields.
var settable = map[uint16]bool{keyEthernet: true, keyIPv4: true, keyIPv6: true, keyTCP: true, keyUDP: true, keySCTP: true}

// set reads what is set. The attribute holds one of a key; with a mask, that has
// the value's length again.
func (a *attrs) set(masked bool) []megaflow.Action {
	in := a.nest()
	if !in.next() {
		return []megaflow.Action{unsupported(flows.UnsupportedAction, "set()")}
	}
	if in.typ == keyTunnel && !masked {
		return []megaflow.Action{in.encap()}
	}
	value, mask := in.val, []byte(nil)
	if masked {
		value, mask = in.val[:len(in.val)/2], in.val[len(in.val)/2:]
	}
	if !settable[in.typ] || len(value) < size(layout[in.typ]) {
		return []megaflow.Action{unsupported(flows.UnsupportedAction, "set(%s(...))", keyName(int(in.typ)))}
	}
	return parts(layout[in.typ], value, mask)
}

// parts returns what is set of each field. Without a mask that is all that can be: the
// protocol and the kind of fragment cannot (validate_set, flow_netlink.c).
func parts(layout []part, value, mask []byte) (all []megaflow.Action) {
	for _, p := range layout {
		if mask == nil && (p.field == megaflow.IPProto || p.field == megaflow.IPFrag) {
			continue
		}
		v, m := value[p.at:p.at+p.bytes], full[:p.bytes]
		if mask != nil {
			m = mask[p.at : p.at+p.bytes]
		}
		switch {
		case zero(m):
		case p.field.IsWide():
			all = append(all, megaflow.SetWide(p.field, wide(v), wide(m)))
		default:
			all = append(all, megaflow.SetUint(p.field, p.uint(v), p.uint(m)))
		}
	}
	return all
}
