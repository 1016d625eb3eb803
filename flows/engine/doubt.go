package engine

import (
	"cmp"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// doubt says whether the path of a session may have changed. Only a Validate that was
// ordered after a doubt answers it.
type doubt struct {
	first  doubtSpan // those that the next answer settles
	later  doubtSpan // those after the Validate on its way was ordered
	op     uint64    // of the last Validate
	asked  bool      // a Validate is on its way
	early  bool      // older than the binding: no rules before it is answered
	listed bool      // stands in Engine.doubted
	looked uint64    // the last PathsDoubted that was compared with the session
}

// doubtSpan is some doubts: when the earliest came, and by when they must be answered.
// The zero value is none.
type doubtSpan struct{ since, due flows.Instant }

// pathsDoubted doubts the sessions that a change may concern.
func (g *Engine) pathsDoubted(ev PathsDoubted) {
	g.changes++
	if ev.Ports == nil {
		for _, s := range g.sessions {
			g.doubtIfConcerned(s, &ev)
		}
		return
	}
	for _, id := range ev.Ports {
		for _, s := range g.onPort[id] {
			g.doubtIfConcerned(s, &ev)
		}
	}
}

func (g *Engine) doubtIfConcerned(s *session, ev *PathsDoubted) {
	if s.doubt.looked == g.changes || s.dead || !s.bound() || s.doubt.covers(g.dueFor(s, ev.Within)) {
		return
	}
	s.doubt.looked = g.changes
	if ev.anyPacket() || !s.plain || s.meantBy(ev) {
		g.doubtWithin(s, ev.Within)
	}
}

// covers reports whether one more doubt would change nothing, because a Validate that
// is not ordered yet must be answered by then anyway.
func (d *doubt) covers(due flows.Instant) bool {
	next := d.next()
	return next.since != 0 && next.due <= due
}

// next returns the doubts that a Validate that is ordered from now on answers.
func (d *doubt) next() *doubtSpan {
	if d.asked {
		return &d.later
	}
	return &d.first
}

// deadline returns when the first of the doubts must be answered.
func (d *doubt) deadline() flows.Instant {
	if d.later.since != 0 {
		return min(d.first.due, d.later.due)
	}
	return d.first.due
}

// meantBy reports whether packets of either direction are meant.
func (s *session) meantBy(ev *PathsDoubted) bool {
	tuples := s.tuples()
	for d := range tuples {
		if ev.Stations[s.paths[d].DstMAC] {
			return true
		}
		for i := range ev.Matches {
			if ev.Matches[i].Has(s.paths[d], tuples[d]) {
				return true
			}
		}
	}
	return false
}

// doubtPath asks for a confirmation of a session's path in the usual time.
func (g *Engine) doubtPath(s *session) { g.doubtWithin(s, 0) }

func (g *Engine) doubtWithin(s *session, within time.Duration) {
	d, due := &s.doubt, g.dueFor(s, within)
	if !s.bound() || d.covers(due) {
		return
	}
	g.counts.Doubts++
	d.next().add(g.now, due)
	g.validateAt = min(g.validateAt, d.deadline())
	if !d.listed {
		d.listed = true
		g.doubted = append(g.doubted, s)
	}
}

// add keeps the earlier of both times.
func (s *doubtSpan) add(since, due flows.Instant) {
	if s.since == 0 {
		s.since, s.due = since, due
	}
	s.due = min(s.due, due)
}

// dueFor returns by when a doubt of now must be answered.
func (g *Engine) dueFor(s *session, within time.Duration) flows.Instant {
	within = cmp.Or(within, g.cfg.ValidateWithin)
	due := g.now.Add(within)
	if s.state == Adopting {
		due = max(due, g.adoptBy)
	}
	return due
}

// doubtEarly doubts a session that was just bound to a path that was asked for before
// the last change.
func (g *Engine) doubtEarly(s *session) {
	if s.changes != g.changes {
		g.doubtPath(s)
		s.doubt.early = true
	}
}

// settle ends all doubts about a session that leaves.
func (g *Engine) settle(s *session) {
	if s.doubt.asked {
		g.validating--
	}
	s.doubt = doubt{op: s.doubt.op, listed: s.doubt.listed}
}
