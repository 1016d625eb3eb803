package secgroup

import "github.com/flowshunt/flowshunt/flows"

// verdict is what a rule says of what it matches. There is one for each rule and action,
// and whoever points to it shares it.
type verdict struct {
	ref    flows.RuleRef
	rank   uint32 // higher: goes before others
	reason flows.Reason
}

func newVerdict(r *Rule, ref flows.RuleRef, a Action) *verdict {
	return &verdict{
		ref:    ref,
		rank:   uint32(255-r.Tier)<<24 | uint32(r.Priority)<<8 | uint32(a),
		reason: reasons[a],
	}
}

// reasons are what the actions make of a connection.
var reasons = [...]flows.Reason{
	Allow:          "",
	AllowStateless: flows.SGStateless,
	Drop:           flows.SGDenied,
	Unknown:        flows.SGUnknown,
}

// over reports whether v decides where both match. Where nothing else tells them apart,
// the older rule does, so that a new one concerns no connection that is permitted already.
func (v *verdict) over(w *verdict) bool {
	if v.rank != w.rank {
		return v.rank > w.rank
	}
	return v.ref < w.ref
}

// best returns the one of list that is over all others; nil: list is empty.
func best(list []*verdict) *verdict {
	var top *verdict
	for _, v := range list {
		if top == nil || v.over(top) {
			top = v
		}
	}
	return top
}
