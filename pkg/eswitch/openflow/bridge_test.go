package openflow

import (
	"testing"
	"time"

	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// A connection that nobody uses ends, and not while somebody does.
func TestLineEndsWhenIdle(t *testing.T) {
	w := newWorld(t, Config{})
	l := &line{socket: of.SocketPath(w.Rundir, "br0"), idle: time.Millisecond}
	var first *of.Client
	for range 2 {
		if err := l.with(t.Context(), func(c *of.Client) error {
			if first == nil {
				first = c
			}
			time.Sleep(20 * l.idle) // longer than a connection may be idle
			_, err := c.Ports(t.Context())
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	ended := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.client == nil
	}
	for deadline := time.Now().Add(5 * time.Second); !ended(); time.Sleep(l.idle) {
		if time.Now().After(deadline) {
			t.Fatal("the connection was kept")
		}
	}
	if _, err := first.Ports(t.Context()); err == nil {
		t.Error("it was forgotten, and not closed")
	}
}
