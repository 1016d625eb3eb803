package engine

import "github.com/flowshunt/flowshunt/flows"

// doubt says whether the path of a session may have changed. Only a Validate that was
// ordered after a doubt answers it.
type doubt struct {
	since  flows.Instant // the earliest that is not answered; 0: none
	later  flows.Instant // the earliest after the Validate on its way was ordered; 0: none
	op     uint64        // of the last Validate
	asked  bool          // a Validate is on its way
	early  bool          // older than the binding: no rules before it is answered
	listed bool          // stands in Engine.doubted
	looked uint64        // the last PathsDoubted that was compared with the session
}

// pathsDoubted doubts the sessions that a change may concern.
func (g *Engine) pathsDoubted(ev PathsDoubted) {
	g.changes++
	if ev.Ports == nil {
		for _, s := range g.sessions {
			g.doubtIfConcerned(s, ev.Matches)
		}
		return
	}
	for _, id := range ev.Ports {
		for _, s := range g.onPort[id] {
			g.doubtIfConcerned(s, ev.Matches)
		}
	}
}

func (g *Engine) doubtIfConcerned(s *session, matches []flows.PacketMatch) {
	if s.doubt.looked == g.changes || s.dead || !s.bound() || s.doubt.unanswerable() {
		return
	}
	s.doubt.looked = g.changes
	if matches == nil || !s.plain || s.anyMatches(matches) {
		g.doubtPath(s)
	}
}

// unanswerable reports whether one more doubt would change nothing, because the next
// Validate is not ordered yet.
func (d *doubt) unanswerable() bool {
	return d.since != 0 && !d.asked || d.later != 0
}

// anyMatches reports whether packets of either direction are meant.
func (s *session) anyMatches(matches []flows.PacketMatch) bool {
	tuples := s.tuples()
	for i := range matches {
		for d := range tuples {
			if matches[i].Has(s.paths[d], tuples[d]) {
				return true
			}
		}
	}
	return false
}

// doubtPath asks for a confirmation of a session's path.
func (g *Engine) doubtPath(s *session) {
	d := &s.doubt
	if !s.bound() || d.unanswerable() {
		return
	}
	g.counts.Doubts++
	if d.asked {
		d.later = g.now
		return
	}
	d.since = g.now
	g.validateAt = min(g.validateAt, g.deadline(s))
	if !d.listed {
		d.listed = true
		g.doubted = append(g.doubted, s)
	}
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
