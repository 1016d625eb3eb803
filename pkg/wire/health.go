package wire

import (
	"math/rand/v2"
	"time"
)

// patience is how many probes in a row say something of the inspector.
const patience = 3

// health is what is known of an inspector. It has no clock: whoever calls says what time it is.
type health struct {
	interval time.Duration
	away     bool
	why      string // it is away
	linked   bool   // both ports are there and have a link
	ways     [2]way // by the inspector port where probes leave
}

// way is one direction through the inspector.
type way struct {
	number  uint64    // of the last probe
	waiting bool      // it is on its way
	next    time.Time // when it is over, and the next leaves
	lost    int       // in a row
	good    int       // likewise
	sent    uint64    // in all
	missed  uint64    // of these
}

// newHealth returns that of an inspector of which nothing is known but what a keeper before
// us knew.
func newHealth(interval time.Duration, away bool) *health {
	h := &health{interval: interval, away: away, linked: true}
	if away {
		h.why = "the inspector was away"
	}
	for i := range h.ways {
		h.ways[i].number = rand.Uint64()
	}
	return h
}

// due returns when tick has something to do.
func (h *health) due() time.Time {
	if h.ways[1].next.Before(h.ways[0].next) {
		return h.ways[1].next
	}
	return h.ways[0].next
}

// tick counts what was lost, and calls send with each probe that shall leave now. One that send
// does not get out says nothing of the inspector.
func (h *health) tick(now time.Time, unheard func(way int) string, send func(way int, number uint64) bool) {
	for i := range h.ways {
		w := &h.ways[i]
		if now.Before(w.next) {
			continue
		}
		if w.waiting {
			w.waiting, w.good = false, 0
			w.lost++
			w.missed++
			if w.lost >= patience {
				h.leave(unheard(i))
			}
		}
		w.number = (w.number + 1) & numberMask
		w.next = now.Add(h.interval)
		if w.waiting = send(i, w.number); w.waiting {
			w.sent++
		}
	}
}

// heard takes a probe that came through.
func (h *health) heard(i int, number uint64) {
	w := &h.ways[i]
	if !w.waiting || w.number != number {
		return
	}
	w.waiting, w.lost = false, 0
	w.good++
	if h.away && h.linked && h.ways[0].good >= patience && h.ways[1].good >= patience {
		h.away, h.why = false, ""
	}
}

// link says what is wrong with the ports of the inspector; empty: nothing.
func (h *health) link(wrong string) {
	if h.linked = wrong == ""; h.linked {
		return
	}
	h.leave(wrong)
	for i := range h.ways {
		h.ways[i].good = 0
	}
}

func (h *health) leave(why string) { h.away, h.why = true, why }
