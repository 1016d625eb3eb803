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
	// next is when the probes of both ways that are on their way are over, and the next leave.
	next time.Time
	slow int // rounds in a row at whose end the bridge was slow to answer
}

// way is one direction through the inspector.
type way struct {
	number  uint64 // of the last probe
	waiting bool   // it is on its way
	lost    int    // in a row
	good    int    // likewise
	sent    uint64 // in all
	missed  uint64 // of these
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

// upcoming is the number of the next probe.
func (w *way) upcoming() uint64 { return (w.number + 1) & numberMask }

// sent takes it that the upcoming probe of each way has left, as far as it is out, and counts those
// before it that did not come back. A bridge that took long to send them was busy, and may hold
// back what has come through: then nothing is counted. One that does not get out says
// nothing of the inspector.
func (h *health) sent(now time.Time, took time.Duration, out [2]bool, unheard func(way int) string) {
	if h.slow++; took <= h.interval/4 {
		h.slow = 0
	}
	for i := range h.ways {
		w := &h.ways[i]
		if w.waiting && h.slow == 0 {
			w.good = 0
			w.lost++
			w.missed++
			if w.lost >= patience {
				h.leave(unheard(i))
			}
		}
		w.number = w.upcoming()
		if w.waiting = out[i]; w.waiting {
			w.sent++
		}
	}
	h.next = now.Add(h.interval)
}

// heard takes a probe that came through, and reports whether the inspector is back by that.
func (h *health) heard(i int, number uint64) (back bool) {
	w := &h.ways[i]
	if !w.waiting || w.number != number {
		return false
	}
	w.waiting, w.lost = false, 0
	w.good++
	if h.away && h.linked && h.ways[0].good >= patience && h.ways[1].good >= patience {
		h.away, h.why = false, ""
		return true
	}
	return false
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
