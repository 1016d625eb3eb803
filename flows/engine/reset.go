package engine

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// eswitchReset pulls what had rules in an eswitch that may have lost them all, so that
// all come back, the most valuable first. What was learned of its table is forgotten.
func (g *Engine) eswitchReset(id flows.EswitchID) {
	r := g.roomOf(id)
	r.belief, r.evidence = newBelief(), evidence{run: r.evidence.run + 1}
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
}

// evidence is whether sessions of one eswitch see their packets take the slow path, all
// of a sudden: a NIC that lost its rules and tells nobody. Hits need not be known for
// that, so that it does no harm when they are told late.
type evidence struct {
	score int
	run   uint32 // counts up when score falls to zero; a session adds to a run once
}

const (
	// testifyEvery is the least time between two looks at one session.
	testifyEvery = sampleEvery * 10
	// provenHits, and provenRatio times its slow packets, are hits after which a
	// session's rules are taken to be right.
	provenHits, provenRatio = 256, 4
	// A session that sees slow packets counts as one, one that sees hits instead takes two
	// back: so most of those with traffic must see them. Several must, at least, and more
	// where there are many.
	severalLost, oneOfMany = 3, 32
)

// testify looks at what the slow path and the eswitch saw of a session since the last time.
func (g *Engine) testify(s *session) {
	if g.now.Sub(s.testified) < testifyEvery {
		return
	}
	slow, hits := s.slowTotal(), s.hw[0].Packets+s.hw[1].Packets
	leaked, hit := slow-s.slowThen, hits-s.hitsThen
	proven := s.testified > 0 && s.hitsThen >= provenHits && s.hitsThen >= provenRatio*(s.slowThen-s.slowFirst)
	s.testified, s.slowThen, s.hitsThen = g.now, slow, hits
	if !proven {
		return
	}
	r := s.home[flows.Orig]
	switch {
	case r != s.home[flows.Reply]: // says nothing of either
	case leaked > slowGrowth && leaked > provenRatio*hit:
		r.evidence.add(s)
	case hit > 0:
		r.evidence.take()
	}
	if r.evidence.score >= severalLost+r.sessions[inside]/oneOfMany {
		g.eswitchReset(r.id)
	}
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
