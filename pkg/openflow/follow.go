package openflow

import (
	"context"
	"time"
)

const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = time.Second
)

// Follow watches a bridge until ctx ends, and returns its error. It connects
// again whenever the connection ends, after 50 ms at first and 1 s at most. The
// handler's Lost is called also for each attempt that failed, so that it knows
// why it is blind.
func Follow(ctx context.Context, config Config, h Handler) error {
	backoff := minBackoff
	for {
		f := &follower{Handler: h}
		err := Watch(ctx, config, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !f.watched {
			h.Lost(err)
		} else {
			backoff = minBackoff
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// follower notes whether a connection got as far as watching.
type follower struct {
	Handler
	watched bool
}

func (f *follower) Watching(v Version) {
	f.watched = true
	f.Handler.Watching(v)
}
