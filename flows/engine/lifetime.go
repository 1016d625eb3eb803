package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// ended ends a session that was offloaded for as long as may be.
func (g *Engine) ended(s *session) bool {
	t, limit := g.termsOf(s), g.cfg.MaxLifetime
	if t.MaxLifetime > 0 {
		limit = t.MaxLifetime
	}
	switch {
	case g.outlived(s, s.primary().unseenFrom, t.Reinspect):
		g.remove(s, flows.Reinspect)
	case g.outlived(s, s.installedAt, limit):
		g.remove(s, flows.Lifetime)
	default:
		return false
	}
	return true
}

// outlived reports whether a session has lasted for so long since then; 0 is for ever. Up to a
// tenth is taken off, by its id, so that what came together does not leave together.
func (g *Engine) outlived(s *session, since flows.Instant, limit time.Duration) bool {
	if limit == 0 {
		return false
	}
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio: spreads successive ids
	share := (uint64(s.id) * golden) >> 54
	limit -= limit / 10 * time.Duration(share) / 1024
	return g.now.Sub(since) >= limit
}
