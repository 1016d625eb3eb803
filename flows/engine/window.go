package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// window bounds the sessions on their way into one eswitch, so that what is sent is
// done within answerWithin however slow the driver is: a removal may have to wait for
// it. It grows and shrinks as TCP's congestion window does (RFC 5681): by one for each
// quick answer at first, by one for each windowful after the first slow answer, and to a
// part of itself once for each windowful that was slow.
type window struct {
	size   float64       // sessions, at least 1
	held   flows.Instant // when it last kept a session waiting
	shrunk flows.Instant // when it last shrank; 0: never
}

const (
	answerWithin = 50 * time.Millisecond
	firstWindow  = 8
	shrinkTo     = 0.7
)

func newWindow() window { return window{size: firstWindow} }

// depth bounds the sessions that are made ready for an eswitch beforehand.
func (w *window) depth() int { return 64 + 4*int(w.size) }

// answered takes the answer to an installation.
func (w *window) answered(now, ordered flows.Instant) {
	switch {
	case now.Sub(ordered) > answerWithin:
		if ordered >= w.shrunk {
			w.size, w.shrunk = max(1, w.size*shrinkTo), now
		}
	case w.held < ordered: // more would not have been sent
	case w.shrunk == 0:
		w.size++
	default:
		w.size += 1 / w.size
	}
}

// open reports whether one more session may be sent to an eswitch.
func (h home) open(now flows.Instant) bool {
	for r := range h.each {
		if float64(r.sessions[entering]+1) > r.window.size {
			r.window.held = now
			return false
		}
	}
	return true
}
