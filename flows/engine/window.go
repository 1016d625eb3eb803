package engine

import "time"

// window bounds the sessions on their way into one eswitch to what its driver does in
// onTheWay, however slow it is. That is measured by the time that the driver takes, and
// not by when the answer is here: on a busy host that is late whatever was sent, and a
// window that shrinks for it stays small. A removal does not wait for all of them, only
// for the batch in progress.
type window struct {
	size float64       // sessions, at least 1
	each time.Duration // that the driver takes for one, lately; 0: not known yet
}

const (
	onTheWay    = 200 * time.Millisecond
	firstWindow = 8
	// forget is the weight of the last answer, as one of so many.
	forget = 8
)

func newWindow() window { return window{size: firstWindow} }

// depth bounds the sessions that are made ready for an eswitch beforehand.
func (w *window) depth() int { return 64 + 4*int(w.size) }

// perSecond returns how many sessions an eswitch can surely take in a second.
func (w *window) perSecond() int { return int(w.size * float64(time.Second/onTheWay)) }

// answered takes how long the driver took for one session; 0: it does not say.
func (w *window) answered(took time.Duration) {
	switch {
	case took <= 0:
		return
	case w.each == 0:
		w.each = took
	default:
		w.each += (took - w.each) / forget
	}
	w.size = max(1, float64(onTheWay)/float64(max(w.each, time.Microsecond)))
}

// open reports whether one more session may be sent to an eswitch.
func (h home) open() bool {
	for r := range h.each {
		if float64(r.sessions[entering]+1) > r.window.size {
			return false
		}
	}
	return true
}
