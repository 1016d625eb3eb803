package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// belief is how many rules a table is taken to hold. Drivers do not say it, and it need
// not stay the same: rules of others can stand in the same table. So a refusal lowers it
// to what is known to be in, and after a time without one it is raised again: by one
// session, then, while that works, by twice as many each time.
//
// A table that stays full sees one attempt after Config.Relearn, the next after twice,
// all others after three times that: at most two per minute by default.
type belief struct {
	limit   int           // rules
	learned flows.Instant // when limit was last changed
	lowered flows.Instant // when that was by a refusal
	step    int           // sessions by which it is raised next
	wait    time.Duration // from a refusal to the next attempt
	tryAt   flows.Instant // no attempt before
	refused uint64        // installations
}

const (
	// mostPatient, times Config.Relearn, is the longest time between two attempts.
	mostPatient = 3
	// betweenRaises lets the answers to the last attempt arrive, at least.
	betweenRaises = 100 * time.Millisecond
)

func newBelief() belief { return belief{limit: unlimited, step: 1} }

// refuse takes a refusal of an installation that was ordered at some time, while so
// many rules are known to be in.
func (b *belief) refuse(now, ordered flows.Instant, in int, relearn time.Duration) {
	b.refused++
	if b.limit == unlimited || ordered >= b.lowered { // not of those that were on their way by then
		if b.step > 2 || b.wait == 0 { // more than one session got in before
			b.wait = 0
		}
		b.wait = min(b.wait+relearn, mostPatient*relearn)
		b.step, b.lowered, b.tryAt = 1, now, now.Add(b.wait)
	}
	if b.limit != in {
		b.limit, b.learned = in, now
	}
}

// raise lets an attempt be made where the table is full, for all that is believed and
// acknowledged. Beyond most nothing is believed any more.
func (b *belief) raise(now flows.Instant, in, most int) {
	if b.limit == unlimited || now < b.tryAt || in <= b.limit-rulesPerSession {
		return
	}
	b.limit += b.step * rulesPerSession
	b.step, b.tryAt, b.learned = 2*b.step, now.Add(betweenRaises), now
	if b.limit >= most {
		b.limit, b.step, b.wait = unlimited, 1, 0
	}
}

// relearn raises the beliefs of tables that are full while somebody waits.
func (g *Engine) relearn() {
	for _, r := range g.rooms {
		if r.belief.limit != unlimited && r.tight() && g.awaitedBySome(r) {
			r.belief.raise(g.now, r.acknowledged(), g.cfg.Capacity*rulesPerSession)
		}
	}
}

func (g *Engine) awaitedBySome(r *room) bool {
	for _, q := range g.queues {
		if len(q.list) > 0 && q.home.has(r) {
			return true
		}
	}
	return false
}

// noRoom takes a refusal of a session for want of room. Which of two eswitches it was
// is not told; software has none to lack.
func (g *Engine) noRoom(s *session) {
	g.counts.InstallsRefused++
	for r := range s.home.each {
		if r.id != "" || s.home[0] == s.home[1] {
			r.belief.refuse(g.now, s.since, r.acknowledged(), g.cfg.Relearn)
		}
	}
}
