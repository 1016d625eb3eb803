package devlink

import (
	"context"
	"time"
)

// The pause after trouble: the first one, and the longest.
const (
	retryAfter = 100 * time.Millisecond
	retryMax   = 10 * time.Second
)

// backoff is a pause that doubles while trouble follows trouble. The zero value is that
// of none so far.
type backoff struct {
	pause time.Duration
	until time.Time
}

// trouble begins a pause. During one it changes nothing; what comes soon after one makes
// the next one longer.
func (b *backoff) trouble() {
	switch over := time.Since(b.until); {
	case over < 0:
		return
	case over <= b.pause:
		b.pause = min(2*b.pause, retryMax)
	default:
		b.pause = retryAfter
	}
	b.until = time.Now().Add(b.pause)
}

// left is what is left of the pause.
func (b *backoff) left() time.Duration { return max(0, time.Until(b.until)) }

// wait waits until the pause or the context ends.
func (b *backoff) wait(ctx context.Context) {
	select {
	case <-time.After(b.left()):
	case <-ctx.Done():
	}
}
