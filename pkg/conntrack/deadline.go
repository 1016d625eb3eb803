package conntrack

import (
	"context"
	"time"
)

// interruptible lets the end of ctx interrupt a receive on w. The function
// returned takes that back and must be called before w is used again.
func interruptible(ctx context.Context, w wire) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = w.setDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-fired
			_ = w.setDeadline(time.Time{})
		}
	}
}

// cause returns why a receive under ctx ended: the end of ctx, if that is it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
