package flows

import "time"

// Instant is a point on the monotonic clock of one agent process, in
// nanoseconds since an arbitrary start. The zero value is that start. Instants
// of different processes must not be compared.
type Instant int64

// Add returns the instant d after i.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the time from earlier to i.
func (i Instant) Sub(earlier Instant) time.Duration { return time.Duration(i - earlier) }
