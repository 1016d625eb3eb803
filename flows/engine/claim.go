package engine

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// claimed reports whether an entry may belong to rules of an earlier agent that are
// not attributed yet, or not gone yet.
func (g *Engine) claimed(e *entry) bool { return len(g.claims[e.key.Tuple]) > 0 }

// sessionOf returns the session of an entry, or one that claims it, or nil.
func (g *Engine) sessionOf(e *entry) *session {
	if e.session == nil && g.claimed(e) {
		return g.claims[e.key.Tuple][0]
	}
	return e.session
}

// keysOf returns the entries that may be of a session.
func (g *Engine) keysOf(s *session) []flows.EntryKey {
	if !s.nominal {
		return s.keys()
	}
	var keys []flows.EntryKey
	for e := g.entries.group(s.tuple); e != nil; e = e.next {
		if e.key.Tuple == s.tuple && e.session == nil && !e.closed && !e.denied {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// claimChanged ends adoptions for which no entry is left.
func (g *Engine) claimChanged(tuple flows.Tuple) {
	for _, s := range g.claims[tuple] {
		if s.state != Adopting {
			continue
		}
		if _, why := g.candidate(tuple, nil); why != "" {
			g.remove(s, why)
		}
	}
}

// unclaim lets go of the entries that a session did not take.
func (g *Engine) unclaim(s *session) {
	if !s.claims {
		return
	}
	s.claims = false
	left := slices.DeleteFunc(g.claims[s.tuple], func(other *session) bool { return other == s })
	if len(left) > 0 {
		g.claims[s.tuple] = left
		return
	}
	delete(g.claims, s.tuple)
	for e := g.entries.group(s.tuple); e != nil; e = e.next {
		if e.key.Tuple == s.tuple && e.session == nil && e.verdict == flows.Offload {
			g.want(e, e.asked)
		}
	}
}
