package datapath

import (
	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// ct reads a ct action. The event mask and the timeout policy, which a commit gives
// to an entry, change nothing of where packets go.
func (a *attrs) ct() megaflow.Action {
	var ct megaflow.CT
	in := a.nest()
	for in.next() {
		switch in.typ {
		case ctCommit:
			ct.Commit = true
		case ctForceCommit:
			ct.Commit, ct.Force = true, true
		case ctZone:
			ct.Zone = flows.Zone(in.u16())
		case ctMark:
			b := in.bytes(8)
			ct.Mark, ct.MarkMask = native.Uint32(b), native.Uint32(b[4:])
		case ctLabels:
			b := in.bytes(32)
			ct.Labels, ct.LabelsMask = megaflow.Labels([16]byte(b)), megaflow.Labels([16]byte(b[16:]))
		case ctHelper:
			ct.Helper = in.text()
		case ctNAT:
			ct.NAT = true
			nat := in.nest()
			for nat.next() {
				ct.NATSrc = ct.NATSrc || nat.typ == natSrc
				ct.NATDst = ct.NATDst || nat.typ == natDst
			}
		case ctEventmask, ctTimeout:
		default:
			return unsupported(flows.UnsupportedAction, "ct(attribute %d)", in.typ)
		}
	}
	return ct
}
