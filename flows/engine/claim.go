package engine

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// claim keeps the entries that may belong to rules of an earlier agent from others, until
// they are attributed. Such entries are found by how packets come in and go out, also
// while those in between are not known.
func (g *Engine) claim(s *session) {
	for _, t := range s.claimed() {
		g.claims[t] = append(g.claims[t], s)
	}
}

// claimed returns the tuples of the original direction by which entries are claimed.
func (s *session) claimed() []flows.Tuple {
	tuples := s.tuples()
	list := []flows.Tuple{tuples[flows.Orig], tuples[flows.Reply].Reverse()}
	return slices.Compact(list)
}

// claimants returns the sessions that claim an entry: because it may belong to rules of
// an earlier agent that are not attributed yet, or not gone yet.
func (g *Engine) claimants(e *entry) []*session {
	if len(g.claims) == 0 {
		return nil
	}
	return g.claimantsOf(g.entries.allKin(e.key.Tuple))
}

func (g *Engine) claimantsOf(all allKin) (list []*session) {
	for other, turned := range all.each {
		if turned {
			continue
		}
		for _, t := range [...]flows.Tuple{other.key.Tuple, other.leaves()} {
			for _, s := range g.claims[t] {
				if !slices.Contains(list, s) {
					list = append(list, s)
				}
			}
		}
	}
	return list
}

func (g *Engine) claimed(e *entry) bool { return len(g.claimants(e)) > 0 }

// sessionOf returns the session of an entry, or one that claims it, or nil.
func (g *Engine) sessionOf(e *entry) *session {
	if e.session == nil {
		if list := g.claimants(e); len(list) > 0 {
			return list[0]
		}
	}
	return e.session
}

// keysOf returns the entries that may be of a session.
func (g *Engine) keysOf(s *session) []flows.EntryKey {
	if !s.nominal {
		return s.keys()
	}
	var keys []flows.EntryKey
	for _, e := range g.entries.along(s.tuple) {
		if e.session == nil && !e.closed && !e.denied {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// claimsChanged ends adoptions for which no entry is left.
func (g *Engine) claimsChanged(claimants []*session) {
	for _, s := range claimants {
		if s.state != Adopting {
			continue
		}
		if _, why := g.candidate(s.tuple, nil); why != "" {
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
	for _, t := range s.claimed() {
		left := slices.DeleteFunc(g.claims[t], func(other *session) bool { return other == s })
		if g.claims[t] = left; len(left) == 0 {
			delete(g.claims, t)
		}
	}
	for _, t := range s.claimed() {
		for _, e := range g.entries.along(t) {
			if e.session == nil && e.verdict == flows.Offload {
				g.want(e, e.asked)
			}
		}
	}
}
