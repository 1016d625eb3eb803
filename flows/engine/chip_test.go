package engine

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// chip is an eswitch of the world: a table with an end, that others use too.
type chip struct {
	id       flows.EswitchID
	capacity int           // rules; 0: unlimited
	foreign  int           // rules of others
	changed  flows.Instant // when either was last changed
	late     bool          // counters are refreshed once a second
	told     flows.Instant // when they were
	slow     time.Duration // the longest time that an installation takes
	lostAt   flows.Instant // when it last lost its rules; 0: never
	resetAt  flows.Instant // when that was last told
	refusals []flows.Instant
	stuck    flows.Instant // since when a belief keeps out what there is room for
}

// chipsOf returns new chips, from nothing but software to a NIC with little room.
func (w *world) newChips() {
	for _, id := range []flows.EswitchID{"", "a", "b"} {
		c := &chip{id: id, late: w.chance(0.5), slow: slowest}
		if id != "" {
			c.capacity = w.rng.IntN(8) * 4
		}
		if w.chance(0.5) {
			c.slow = 40 * time.Millisecond
		}
		w.chips = append(w.chips, c)
	}
}

// eswitchOf mixes the ports of each side: most paths are of one eswitch, some are not.
func eswitchOf(p flows.PortID) flows.EswitchID {
	switch {
	case p <= 5:
		return "a"
	case p <= 11:
		return "b"
	}
	return ""
}

func (w *world) chip(p flows.PortID) *chip {
	id := eswitchOf(p)
	return w.chips[slices.IndexFunc(w.chips, func(c *chip) bool { return c.id == id })]
}

// rulesOn returns how many rules of some paths stand on a chip.
func (c *chip) rulesOn(p flows.Paths) (n int) {
	for d := range p {
		if eswitchOf(p[d].In) == c.id {
			n++
		}
	}
	return n
}

// used returns the rules in the table.
func (w *world) used(c *chip) int {
	n := c.foreign
	for _, h := range w.rules {
		n += c.rulesOn(h.paths)
	}
	return n
}

// full says whether a session does not fit in.
func (w *world) full(p flows.Paths) bool {
	full := false
	for _, c := range w.chips {
		if n := c.rulesOn(p); n > 0 && c.capacity > 0 && w.used(c)+n > c.capacity {
			full = true
			c.refusals = append(c.refusals, w.now)
		}
	}
	return full
}

// changeChip is what happens to a NIC.
func (w *world) changeChip() {
	c := w.chips[1+w.rng.IntN(len(w.chips)-1)]
	switch w.rng.IntN(1000) {
	case 0:
		c.capacity, c.changed = w.rng.IntN(8)*4, w.now
	case 1:
		c.foreign, c.changed = w.rng.IntN(2)*w.rng.IntN(8), w.now
	case 2, 3:
		w.loseRules(c)
		if w.chance(0.5) {
			c.resetAt = w.now
			w.events = append(w.events, EswitchReset{c.id})
		}
	case 4:
		c.resetAt = w.now
		w.events = append(w.events, EswitchReset{c.id}) // told, but nothing was lost
	case 5:
		for _, s := range w.engine.sessionsInOrder() {
			if h := w.rules[s.id]; h != nil && c.rulesOn(h.paths) > 0 && w.chance(0.3) && h.swSince == 0 {
				h.swSince = w.now
			}
		}
	}
}

// loseRules leaves rules that are there, but see nothing.
func (w *world) loseRules(c *chip) {
	c.lostAt = w.now
	for _, h := range w.rules {
		if c.rulesOn(h.paths) > 0 && h.lostSince == 0 {
			h.lostSince = w.now
		}
	}
}

// tell refreshes what the chips tell of hits.
func (w *world) tell() {
	for _, c := range w.chips {
		if c.late && w.now.Sub(c.told) < time.Second {
			continue
		}
		c.told = w.now
		for _, h := range w.rules {
			for d := range h.paths {
				if eswitchOf(h.paths[d].In) == c.id {
					h.told[d] = h.count[d]
				}
			}
		}
	}
}
