package engine

import (
	"container/heap"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

const (
	// displaceEvery is how often the least valuable sessions are looked for.
	displaceEvery = time.Second
	// displaceShare is the part of a table's sessions that may be displaced then.
	displaceShare = 50
	// measured is how long a session is in the eswitch before its rate there is known.
	measured = 3 * time.Second
)

// displace makes room, where a table or the whole is full, for waiting entries that are
// clearly more valuable than the least valuable sessions there.
func (g *Engine) displace() {
	if g.now < g.displaceAt {
		return
	}
	for _, r := range g.rooms {
		if r.tight() {
			others := func(h home) bool { return h.has(r) && h.fitsBut(r) }
			provided := (r.rules[leaving] + r.rules[backing] + max(0, r.free())) / rulesPerSession
			g.contest(others, func(s *session) bool { return s.home.has(r) }, r.sessions[inside], provided, r.window.perSecond())
		}
	}
	if len(g.sessions) >= g.cfg.Capacity {
		gone := 0
		for _, r := range g.rooms {
			gone += r.sessions[leaving] + r.sessions[backing]
		}
		g.contest(home.fits, func(*session) bool { return true }, len(g.sessions), gone, len(g.sessions))
	}
}

// fitsBut reports whether there is room for one more session in all rooms but one.
func (h home) fitsBut(but *room) bool {
	for r, rules := range h.each {
		if r != but && r.free() < rules {
			return false
		}
	}
	return true
}

// contest compares those that may come with those that may go, n of which are in.
// For the first of those that wait, provided of them, there is room already.
func (g *Engine) contest(may func(home) bool, of func(*session) bool, n, provided, most int) {
	k := min(max(1, n/displaceShare), max(1, most))
	q := g.next(may)
	if q == nil {
		return
	}
	g.displaceAt = g.now.Add(displaceEvery)
	best := q.list[0].value
	least := g.least(k, func(s *session) bool { return of(s) && g.yields(s, best) })
	if len(least) == 0 {
		return
	}
	challengers := g.best(may, provided+len(least))
	for i, w := range challengers[min(provided, len(challengers)):] {
		c := g.whereto(w.entry).shutFor(g.kindOf(w.entry), nil, g.now)
		switch {
		case !g.yields(least[i], w.value):
			return
		case c != nil:
			g.putOff(w.entry, c)
		case !g.knowsHome(w.entry) && len(g.sessions) < g.cfg.Capacity:
			g.scout(w.entry)
		default:
			g.remove(least[i], flows.Displaced)
		}
	}
}

// scout has the path of an entry resolved without room for it: nothing shall leave for a
// connection that cannot come. If it can, it waits again, and is known to.
func (g *Engine) scout(e *entry) {
	if !g.standsBack(e) && g.inserts.take(1) {
		g.begin(e, home{})
	}
}

// yields reports whether a session is clearly less valuable than something else.
func (g *Engine) yields(s *session, to value) bool {
	v := s.value()
	v.rate *= g.cfg.Displace
	return v.less(to)
}

// best returns the n most valuable of those that wait, in order.
func (g *Engine) best(may func(home) bool, n int) []waiter {
	var list []waiter
	for len(list) < n {
		q := g.next(may)
		if q == nil {
			break
		}
		list = append(list, heap.Pop(q).(waiter))
	}
	for _, w := range list {
		g.queueOf(g.whereto(w.entry)).add(w.entry)
	}
	return list
}

// least returns the n least valuable of some sessions that may be displaced, in order.
func (g *Engine) least(n int, of func(*session) bool) []*session {
	var least mostFirst
	for _, s := range g.list {
		switch {
		case !of(s) || !g.displaceable(s):
		case len(least) < n:
			heap.Push(&least, s)
		case moreValuable(s, least[0]) > 0:
			least[0] = s
			heap.Fix(&least, 0)
		}
	}
	slices.SortFunc(least, func(a, b *session) int { return moreValuable(b, a) })
	return least
}

func (g *Engine) displaceable(s *session) bool {
	return s.state == Observed || s.state == Offloaded && g.now.Sub(s.installedAt) >= measured
}

// mostFirst is a heap of sessions, the most valuable first.
type mostFirst []*session

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (m mostFirst) Len() int           { return len(m) }
func (m mostFirst) Less(i, j int) bool { return moreValuable(m[i], m[j]) < 0 }

// Swap implements heap.Interface.
func (m mostFirst) Swap(i, j int) { m[i], m[j] = m[j], m[i] }

// Push implements heap.Interface.
func (m *mostFirst) Push(x any) { *m = append(*m, x.(*session)) }

// Pop implements heap.Interface.
func (m *mostFirst) Pop() any {
	last := len(*m) - 1
	s := (*m)[last]
	*m = (*m)[:last]
	return s
}
