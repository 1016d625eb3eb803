package engine

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

const (
	// displaceEvery bounds how often the least valuable sessions are looked for.
	displaceEvery = time.Second
	// measured is how long a session is in the eswitch before its rate there is known.
	measured = 3 * time.Second
)

// admit begins sessions for waiting entries, the most valuable first, as far as
// capacity and the insertion rate allow. The others wait.
func (g *Engine) admit() {
	g.dropUnwanted()
	if len(g.waiting) == 0 || g.cfg.AwaitRules {
		return
	}
	if g.hasRoom() || g.now >= g.displace { // else their order does not matter
		g.sortWaiting()
		g.displaceLeast()
		g.beginFirst()
	}
	obstacle := flows.RateLimited
	if len(g.sessions) >= g.cfg.Capacity {
		obstacle = flows.TableFull
	}
	for _, e := range g.waiting {
		g.setReason(e, obstacle, "")
	}
}

func (g *Engine) hasRoom() bool {
	return len(g.sessions) < g.cfg.Capacity && g.inserts.tokens >= 1
}

func (g *Engine) sortWaiting() {
	slices.SortStableFunc(g.waiting, func(a, b *entry) int {
		switch {
		case b.value().less(a.value()):
			return -1
		case a.value().less(b.value()):
			return 1
		}
		return 0
	})
}

// beginFirst begins sessions from the head of the waiting list while there is room.
func (g *Engine) beginFirst() {
	began := 0
	for _, e := range g.waiting {
		if len(g.sessions) >= g.cfg.Capacity || !g.inserts.take(1) {
			break
		}
		g.begin(e)
		began++
	}
	g.waiting = slices.Delete(g.waiting, 0, began)
}

// dropUnwanted takes entries off the waiting list that no longer want to be offloaded.
func (g *Engine) dropUnwanted() {
	g.waiting = slices.DeleteFunc(g.waiting, func(e *entry) bool {
		drop := e.closed || e.session != nil || e.verdict != flows.Offload || g.stopping || g.claimed(e)
		if drop {
			e.queued = false
		}
		return drop
	})
}

// displaceLeast makes room, where the table is full, for waiting entries that are
// clearly more valuable than the least valuable sessions.
func (g *Engine) displaceLeast() {
	if len(g.sessions) < g.cfg.Capacity || g.now < g.displace {
		return
	}
	g.displace = g.now.Add(displaceEvery)
	least := slices.DeleteFunc(g.sessionsInOrder(), func(s *session) bool {
		return s.state != Offloaded && s.state != Observed || s.state == Offloaded && g.now.Sub(s.installedAt) < measured
	})
	slices.SortStableFunc(least, func(a, b *session) int {
		if a.value().less(b.value()) {
			return -1
		}
		return 1
	})
	for i, e := range g.waiting {
		if i >= len(least) {
			return
		}
		v := least[i].value()
		v.rate *= g.cfg.Displace
		if !v.less(e.value()) {
			return
		}
		g.remove(least[i], flows.Displaced)
	}
}

// begin makes a session and asks for its path.
func (g *Engine) begin(e *entry) {
	s := &session{id: g.nextID, tuple: e.key.Tuple, entries: []*entry{e}, reason: e.wanted(), rate: max(e.rate, 0)}
	g.nextID++
	g.sessions[s.id] = s
	e.session, e.queued = s, false
	g.setReason(e, s.reason, "")
	g.resolve(s)
}

// resolve asks for the path of a session; or anew, where what a pipeline can see of the
// connection changed meanwhile. The answer to the former question is then stale.
func (g *Engine) resolve(s *session) {
	g.enter(s, Resolving)
	s.changes = g.changes
	g.emit(Resolve{Session: s.id, Op: s.op, Entry: s.primary().key, States: g.States(s.tuple)})
}

// enter moves a session to a state whose effect gets a new Op.
func (g *Engine) enter(s *session, state State) {
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
