package secgroup

import "github.com/flowshunt/flowshunt/flows"

// verdict is which rule decides, and all that must be known of it to compare it with others
// and to act on it: it is kept by value, so that nobody waits for a rule's memory. The zero
// value is that nothing decides; everything is over it.
type verdict struct {
	ref  flows.RuleRef
	rank rank
}

// rank is the order of rules: a higher one goes before others. The lowest byte is the
// action, so that no rule has 0.
type rank uint32

func newVerdict(r *Rule, ref flows.RuleRef, a Action) verdict {
	return verdict{ref, rank(255-r.Tier)<<24 | rank(r.Priority)<<8 | rank(a)}
}

// reason is what the rule's action makes of a connection.
func (v verdict) reason() flows.Reason { return reasons[v.rank&255] }

var reasons = [256]flows.Reason{
	AllowStateless: flows.SGStateless,
	Drop:           flows.SGDenied,
	Unknown:        flows.SGUnknown,
}

// over reports whether v decides where both match. Where nothing else tells them apart, the
// older one does, so that a new rule changes little of what is compiled.
func (v verdict) over(w verdict) bool {
	if v.rank != w.rank {
		return v.rank > w.rank
	}
	return v.ref < w.ref
}
