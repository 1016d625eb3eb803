package secgroup

import "github.com/flowshunt/flowshunt/flows"

// verdict is what a rule says of what it matches. There is one for each rule and action,
// and whoever points to it shares it.
type verdict struct {
	ref    flows.RuleRef
	rank   rank
	reason flows.Reason
}

// rank is the order of rules: a higher one goes before others. No rule has 0.
type rank uint32

func newVerdict(r *Rule, ref flows.RuleRef, a Action) *verdict {
	return &verdict{
		ref:    ref,
		rank:   rank(255-r.Tier)<<24 | rank(r.Priority)<<8 | rank(a),
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

// over reports whether v decides where both match. Where nothing else tells them apart, the
// older one does, so that a new rule changes little of what is compiled.
func (v *verdict) over(w *verdict) bool {
	if v.rank != w.rank {
		return v.rank > w.rank
	}
	return v.ref < w.ref
}
