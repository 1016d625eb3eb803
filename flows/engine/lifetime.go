package engine

import "time"

// outlived reports whether a session was offloaded for as long as may be. Up to a
// tenth is taken off, by its id, so that what came together does not leave together.
func (g *Engine) outlived(s *session) bool {
	limit := g.cfg.MaxLifetime
	if limit == 0 {
		return false
	}
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio: spreads successive ids
	share := (uint64(s.id) * golden) >> 54
	limit -= limit / 10 * time.Duration(share) / 1024
	return g.now.Sub(s.installedAt) >= limit
}
