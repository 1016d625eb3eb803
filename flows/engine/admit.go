package engine

import "github.com/flowshunt/flowshunt/flows"

// admit begins sessions for waiting entries, the most valuable first, as far as the
// capacity, the tables and the insertion rate allow. The others wait.
func (g *Engine) admit() {
	if g.cfg.AwaitRules || g.stopping {
		return
	}
	g.relearn()
	g.displace()
	for len(g.sessions) < g.cfg.Capacity {
		q := g.next(home.admits)
		if q == nil {
			return
		}
		e := q.list[0].entry
		if c := q.home.shutFor(g.kindOf(e), nil, g.now); c != nil {
			g.putOff(e, c)
			continue
		}
		if g.standsBack(e) {
			continue
		}
		if g.guesses(e) && !g.scouts.take(1) {
			g.unqueue(e)
			g.setReason(e, flows.RateLimited, "its path is to be found, in case that a policy wants it there")
			continue
		}
		if !g.inserts.take(1) {
			return
		}
		g.begin(e, q.home)
	}
}

// admits reports whether a session may be begun for a home.
func (h home) admits() bool { return h.fits() && !h.queuesUp() }

// next returns the queue with the most valuable entry of those for homes that may be.
func (g *Engine) next(may func(home) bool) (best *queue) {
	for _, q := range g.queues {
		if len(q.list) > 0 && may(q.home) && (best == nil || q.list[0].before(best.list[0])) {
			best = q
		}
	}
	return best
}

// standsBack lets an entry wait for its next turn while the path of another one is being
// found that may be of the same connection: then its session takes this one, too.
func (g *Engine) standsBack(e *entry) bool {
	for _, s := range g.entries.sessionsOf(e.key.Tuple) {
		if s.state == Resolving {
			g.unqueue(e)
			g.setReason(e, flows.RateLimited, "the path of "+s.tuple.String()+" is found first")
			return true
		}
	}
	return false
}

// begin makes a session and asks for its path. What is claimed is not begun: it is wanted
// again when that is over.
func (g *Engine) begin(e *entry, expected home) {
	g.unqueue(e)
	if g.claimed(e) {
		return
	}
	s := &session{id: g.nextID, tuple: e.key.Tuple, entries: []*entry{e}, reason: g.wanted(e), rate: max(e.rate, 0)}
	s.home = expected
	g.nextID++
	g.keep(s)
	e.session = s
	s.tryShut(g.kindOf(e), g.now)
	g.setReason(e, s.reason, "")
	g.resolve(s)
}

// resolve asks for the path of a session; or anew, where what a pipeline can see of the
// connection changed meanwhile. The answer to the former question is then stale.
func (g *Engine) resolve(s *session) {
	g.enter(s, Resolving)
	s.changes = g.changes
	e := s.primary()
	states, ok := g.States(s.tuple)
	if !ok {
		g.giveUp(s, flows.ZoneUnknown, tooManyKin)
		return
	}
	g.emit(Resolve{Session: s.id, Op: s.op, Entry: e.key, Reply: e.reply(), States: states, Silent: g.silent(e)})
}

// enter moves a session to a state whose effect gets a new Op.
func (g *Engine) enter(s *session, state State) {
	s.book(s.stageOf(state))
	g.states[s.state]--
	g.states[state]++
	s.state, s.since = state, g.now
	s.op++
}

// awaited returns the session whose last effect is answered by (id, op), or nil
// where the answer is stale.
func (g *Engine) awaited(id flows.SessionID, op uint64, state State) *session {
	s := g.sessions[id]
	if s == nil || s.op != op || s.state != state {
		return nil
	}
	return s
}
