package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// returning is a connection through an inspector that was bypassed for a while.
type returning struct {
	*transfer
	w *harness.Inspected
}

// bypassed opens connections, moves bytes of each past the inspector, by rules made by
// hand, and leaves it at that.
func bypassed(w *harness.Inspected, l *harness.Peer, bytes int64, sports ...uint16) []*returning {
	t := w.T
	t.Helper()
	var all []*returning
	for _, sport := range sports {
		c := &returning{newTransfer(w.Pair, l, sport), w}
		c.send(100_000)
		all = append(all, c)
	}
	for _, c := range all {
		c.whole()
		w.Bypass(c.sport)
	}
	w.Segments("on")
	start := time.Now()
	for _, c := range all {
		c.send(bytes)
	}
	for _, c := range all {
		c.A.EventWith(5*time.Minute, c.a, "sent", func(e harness.Event) bool { return e.Sent == c.total })
		c.whole()
		if past := c.bypassed(); past < bytes {
			t.Fatalf("%s: %d of %d bytes past the inspector", c.tuple, past, bytes)
		}
	}
	t.Logf("%d connections moved %d MB each past the inspector in %v", len(all), bytes/1e6, time.Since(start).Round(time.Second))
	w.Segments("off")
	return all
}

// whole waits until all that was sent has arrived.
func (c *returning) whole() {
	c.w.T.Helper()
	harness.Within(c.w.T, patience, "all has arrived", func() error {
		if got := c.B.Report(c.b); got.Received != c.total {
			return fmt.Errorf("%s: %d of %d bytes; dropped: %v", c.tuple, got.Received, c.total, c.w.IPS.Dropped(c.sport))
		}
		return nil
	})
}

// say sends a text, which may arrive or not.
func (c *returning) say(text string) {
	c.A.Do(c.a, "say "+text)
	c.total += int64(len(text))
}

// forgotten waits until the inspector has given the connection up.
func (c *returning) forgotten() {
	c.w.T.Helper()
	harness.Within(c.w.T, 2*time.Minute, c.tuple+" is forgotten", func() error {
		for _, r := range c.w.IPS.Records(c.sport) {
			if r.Kind == "flow" && r.Flow.Reason == "timeout" {
				return nil
			}
		}
		return errors.New("no such record")
	})
}

// outcome waits until what was sent last has arrived, and nothing was dropped; or until
// the inspector has dropped of it for a reason, and sees that it has not arrived.
func (c *returning) outcome(what, want string) {
	t := c.w.T
	t.Helper()
	if want == arrives {
		c.whole()
		if n := c.w.IPS.Dropped(c.sport); len(n) != 0 {
			t.Errorf("%s: dropped %v", what, n)
		}
		return
	}
	c.dropped(t, what, want)
	if got := c.B.Report(c.b); got.Received == c.total {
		t.Errorf("%s has arrived", what)
	}
}

// end waits until the other end hears that the connection has ended, or until the
// inspector has dropped the packet that would have told it.
func (c *returning) end(kind, want string) {
	t := c.w.T
	t.Helper()
	if want == arrives {
		c.B.Event(patience, c.b, kind)
		return
	}
	c.dropped(t, kind, want)
	if c.B.Heard(c.b, kind) {
		t.Errorf("%s at the other end", kind)
	}
}

func (c *returning) dropped(t testing.TB, what, reason string) {
	t.Helper()
	harness.Within(t, patience, fmt.Sprintf("%s is dropped for %s", what, reason), func() error {
		if n := c.w.IPS.Dropped(c.sport); n[reason] == 0 {
			return fmt.Errorf("dropped: %v", n)
		}
		return nil
	})
}
