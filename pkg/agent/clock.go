package agent

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// clock turns the process's monotonic clock into instants, which start at 1 so
// that the zero value of an instant is before everything.
type clock struct{ start time.Time }

func newClock() clock { return clock{time.Now()} }

func (c clock) now() flows.Instant { return flows.Instant(time.Since(c.start)) + 1 }

// wall returns the time of day of an instant; the zero time for the zero value.
func (c clock) wall(i flows.Instant) time.Time {
	if i == 0 {
		return time.Time{}
	}
	return c.start.Add(time.Duration(i))
}
