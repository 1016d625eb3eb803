package engine

import (
	"maps"

	"github.com/flowshunt/flowshunt/flows"
)

// Counts are totals since the engine was made, and, in Followed, what is now.
type Counts struct {
	Followed        map[flows.Reason]int    // followed entries by their present reason
	Removals        map[flows.Reason]uint64 // sessions that left the eswitch, by cause
	Installs        uint64                  // sessions installed
	InstallsFailed  uint64
	InstallsRefused uint64 // for want of room, which is no failure
	RemovalsFailed  uint64 // attempts; each is repeated
	KeepAlives      uint64 // refreshes ordered
	Doubts          uint64 // times that the path of a session became doubtful
	Validated       uint64 // sessions whose path was confirmed after that
	Refuted         uint64 // ... was found to be another now
	Adopted         uint64 // sessions taken over from an earlier agent
	Hints           uint64 // FIN or RST hints that concerned a session
	Dumps           uint64
	Unfollowed      uint64         // reads of entries beyond the bound
	Offloaded       flows.Counters // by the eswitch's counters, both directions
}

func newCounts() Counts {
	return Counts{Followed: make(map[flows.Reason]int), Removals: make(map[flows.Reason]uint64)}
}

// Counts returns a copy.
func (g *Engine) Counts() Counts {
	c := g.counts
	c.Followed = maps.Clone(c.Followed)
	maps.DeleteFunc(c.Followed, func(_ flows.Reason, n int) bool { return n == 0 })
	c.Removals = maps.Clone(c.Removals)
	return c
}
