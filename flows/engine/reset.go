package engine

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// eswitchReset pulls what had rules in an eswitch that may have lost them all, so that
// all come back, the most valuable first. What was learned of its table is forgotten, and
// so is what it refused: while it is reset that can be everything.
func (g *Engine) eswitchReset(id flows.EswitchID) {
	r := g.roomOf(id)
	r.belief, r.evidence, r.shut = newBelief(), r.evidence.again(), nil
	var hit []*session
	for _, s := range g.sessions {
		if s.state.hasRules() && s.state != Removing && s.home.has(r) {
			hit = append(hit, s)
		}
	}
	slices.SortFunc(hit, moreValuable)
	for _, s := range hit {
		g.remove(s, flows.EswitchReset)
	}
	for e := range g.entries.all() {
		if e.reason == flows.Refused && e.session == nil && e.verdict == flows.Offload && g.whereto(e).has(r) {
			e.notBefore, e.fails = 0, 0
			g.wantAgain(e)
		}
	}
}

// evidence is how many sessions of one eswitch see their packets take the slow path all
// of a sudden: a NIC that lost its rules and tells nobody. Hits need not be known in time
// for that, so that it does no harm when they are told late.
type evidence struct {
	score    int           // sessions that did, less twice those with hits
	run      uint32        // counts up when score falls to zero; a session adds to a run once
	believed flows.Instant // when it was believed last; 0: never
	pause    time.Duration // for which it is not believed again
}

const (
	// testifyEvery is the least time between two looks at one session.
	testifyEvery = 500 * time.Millisecond
	// provenHits, and provenRatio times its slow packets, are hits after which the rules
	// of a session are taken to be right.
	provenHits, provenRatio = 256, 4
	// Senders could make it seem, by packets that their own rules do not match, that a NIC
	// is reset all the time: what is believed soon again is believed ever more rarely.
	firstPause, longestPause = 10 * time.Second, 10 * time.Minute
	// severalLost are the fewest sessions that tell of a reset; else it takes half of all.
	severalLost = 3
)

// testify looks at what the slow path and the eswitch saw of a session since the last
// time that either saw enough to tell.
func (g *Engine) testify(s *session) {
	r := s.home[flows.Orig]
	if g.now.Sub(s.testified) < testifyEvery || r != s.home[flows.Reply] {
		return
	}
	slow, hits := s.slowTotal(), s.hw[flows.Orig].Packets+s.hw[flows.Reply].Packets
	slowed, hit := slow-s.slowThen, hits-s.hitsThen
	if s.testified > 0 && hit == 0 && slowed <= slowGrowth {
		return
	}
	proven := s.testified > 0 && s.hitsThen >= provenHits && s.hitsThen >= provenRatio*(s.slowThen-s.slowFirst)
	s.testified, s.slowThen, s.hitsThen = g.now, slow, hits
	switch {
	case !proven:
	case slowed > slowGrowth && slowed > provenRatio*hit:
		r.evidence.add(s)
	case hit > 0:
		r.evidence.take()
	}
	if r.evidence.score >= max(severalLost, r.sessions[inside]/2) && r.evidence.believe(g.now) {
		g.eswitchReset(r.id)
	}
}

// believe reports whether it is long enough since the last time.
func (e *evidence) believe(now flows.Instant) bool {
	gap := now.Sub(e.believed)
	switch {
	case e.believed == 0 || gap > 10*e.pause:
		e.pause = firstPause
	case gap < e.pause:
		return false
	default:
		e.pause = min(2*e.pause, longestPause)
	}
	e.believed = now
	return true
}

// again is what is left of it after a reset.
func (e evidence) again() evidence {
	return evidence{run: e.run + 1, believed: e.believed, pause: e.pause}
}

func (e *evidence) add(s *session) {
	if s.evidenceOf != e.run+1 {
		s.evidenceOf = e.run + 1
		e.score++
	}
}

func (e *evidence) take() {
	if e.score -= 2; e.score <= 0 {
		e.score = 0
		e.run++
	}
}
