package nlsocket

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// chatty is a socket with something to read at any time.
type chatty struct{ told chan struct{} }

func (c chatty) Receive(ctx context.Context) ([]byte, error) {
	select {
	case c.told <- struct{}{}:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c chatty) Close() error { return nil }

// What is told while nobody takes it is heard, up to a bound.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := chatty{make(chan struct{})}
		_, stop := Hear(t.Context(), c, func(Message) (int, bool, error) { return 0, false, nil }, func(context.Context) {})
		defer stop()
		heard := 0
		for done := false; !done; {
			select {
			case <-c.told:
				heard++
			case <-time.After(time.Hour):
				done = true
			}
		}
		if heard < 100 || heard > 1000 {
			t.Errorf("heard %d", heard)
		}
	})
}
