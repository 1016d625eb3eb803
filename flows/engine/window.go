package engine

import "time"

// window bounds the sessions on their way into one eswitch by what its driver does in a
// while: enough to keep it busy until more can be sent, however late its answers come
// through, and so little that the most valuable of the next moment need not wait for long.
// Removals do not wait for them. It follows the driver's own time, not that of the round
// trip: on a busy host that is long for reasons that fewer sessions do not change.
type window struct {
	size float64       // sessions
	cost time.Duration // that the driver takes for one; 0: not known
}

const (
	aheadBy     = 200 * time.Millisecond
	firstWindow = 8
	narrowest   = 2
	widest      = 1 << 13
)

func newWindow() window { return window{size: firstWindow} }

// depth bounds the sessions that are made ready for an eswitch beforehand.
func (w *window) depth() int { return 64 + 4*int(w.size) }

// answered takes how long the driver worked on a session that is in now, smoothed as TCP
// does it with round trips (RFC 6298).
func (w *window) answered(cost time.Duration) {
	switch {
	case cost <= 0:
		return
	case w.cost == 0:
		w.cost = cost
	default:
		w.cost = max(1, w.cost+(cost-w.cost)/8)
	}
	w.size = min(max(narrowest, float64(aheadBy)/float64(w.cost)), widest)
}

// perSecond returns how many sessions an eswitch can surely take in a second.
func (w *window) perSecond() int { return int(w.size / aheadBy.Seconds()) }

// open reports whether one more session may be sent to an eswitch.
func (h home) open() bool {
	for r := range h.each {
		if float64(r.sessions[entering]+1) > r.window.size {
			return false
		}
	}
	return true
}
