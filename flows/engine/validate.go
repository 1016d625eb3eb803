package engine

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

const (
	// maxValidating bounds the Validates on their way, so that those of the most
	// valuable sessions do not queue up behind others.
	maxValidating = 256
	// adoptWithin, and adoptEach for each of them, is the bound for the confirmation of
	// what an earlier agent left, since all of that is in doubt at once.
	adoptWithin = 5 * time.Second
	adoptEach   = time.Millisecond
)

// validate ends sessions whose doubts were not answered in time, and orders Validates
// for the others, the most valuable first. With many on their way there is nothing
// to do but to wait for half of the answers, or for the next bound.
func (g *Engine) validate() {
	if len(g.doubted) == 0 || g.validating > maxValidating/2 && g.now < g.validateAt {
		return
	}
	slices.SortFunc(g.doubted, g.moreUrgent)
	g.validateAt = math.MaxInt64
	g.doubted = slices.DeleteFunc(g.doubted, func(s *session) bool {
		g.validateOrEnd(s)
		s.doubt.listed = s.doubt.first.since != 0
		return !s.doubt.listed
	})
}

func (g *Engine) validateOrEnd(s *session) {
	switch {
	case s.doubt.first.since == 0:
		return
	case g.now >= s.doubt.deadline():
		g.giveUp(s, flows.PathDoubted, "no answer within "+s.doubt.deadline().Sub(s.doubt.first.since).String())
		return
	case !s.doubt.asked && g.validating < maxValidating:
		g.orderValidate(s)
	}
	if s.doubt.first.since == 0 {
		return // it was given up
	}
	g.validateAt = min(g.validateAt, s.doubt.deadline())
}

func (g *Engine) orderValidate(s *session) {
	states, ok := g.States(s.tuple)
	if !ok {
		g.giveUp(s, flows.ZoneUnknown, tooManyKin)
		return
	}
	s.doubt.asked = true
	s.doubt.op++
	g.validating++
	g.emit(Validate{Session: s.id, Op: s.doubt.op, Tuples: s.tuples(), Paths: s.paths, States: states,
		Within: s.doubt.first.due.Sub(g.now)})
}

// validated takes the answer to Validate.
func (g *Engine) validated(ev *Validated) {
	s := g.sessions[ev.Session]
	if s == nil || !s.doubt.asked || s.doubt.op != ev.Op {
		return
	}
	reason, detail := ev.Reason, ev.Detail
	switch {
	case reason != "":
	case s.state == Adopting:
		reason, detail = g.takeEntries(s, ev.Stands)
	case len(ev.Stands) > 0 && !s.standsAt(ev.Stands):
		reason, detail = flows.PathChanged, "tracked in other zones now"
	}
	if reason != "" {
		g.counts.Refuted++
		s.refuted = s.installedAt > 0
		g.giveUp(s, reason, detail)
		return
	}
	g.counts.Validated++
	if s.state == Adopting {
		g.adopted(s)
	}
	g.confirm(s, ev.Plain)
}

// confirm answers the doubts that were there when the Validate was ordered.
func (g *Engine) confirm(s *session, plain bool) {
	s.plain = plain
	g.validating--
	d := &s.doubt
	d.asked, d.early = false, false
	d.first, d.later = d.later, doubtSpan{}
	if d.first.since != 0 {
		g.validateAt = min(g.validateAt, d.first.due)
	}
}

// moreUrgent orders sessions in doubt: those that must be confirmed in the usual time
// go before those that leave more; and the most valuable first.
func (g *Engine) moreUrgent(a, b *session) int {
	soon := g.now.Add(g.cfg.ValidateWithin)
	if x, y := a.doubt.first.due <= soon, b.doubt.first.due <= soon; x != y {
		if x {
			return -1
		}
		return 1
	}
	return moreValuable(a, b)
}

// moreValuable orders sessions: the most valuable first, and always the same way.
func moreValuable(a, b *session) int {
	switch {
	case b.value().less(a.value()):
		return -1
	case a.value().less(b.value()):
		return 1
	}
	return cmp.Compare(a.id, b.id)
}
