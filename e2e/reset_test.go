package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// A NIC whose firmware was reset has lost every rule, while tc still lists them. Within
// two seconds every session is back, or the agent says why it is not.
func TestResetEswsim(t *testing.T) {
	const count = 8
	harness.OnEswsim(t)
	w := harness.SwitchedPair(t)
	a := startAgent(w.World, modest...)
	w.B.Listen(t, "udp", 9000, true)
	var all []*flow
	for i := range count {
		all = append(all, elephantFlow(w, "udp", uint16(46000+i)))
	}
	for _, f := range all {
		offloaded(w.World, f.tuple)
	}
	for _, c := range []struct {
		how    string
		causes []string
		within time.Duration
	}{
		{"report", []string{"eswitch-reset"}, 2 * time.Second},
		{"silent", []string{"eswitch-reset", "no-hits"}, 2 * time.Second},
	} {
		inTheNIC(w.World, patience, 2*count)
		at := time.Now()
		w.NIC.Reset(t, c.how)
		inTheNIC(w.World, patience, 2*count)
		took := time.Since(at)
		t.Logf("%s: all %d sessions back after %v", c.how, count, took.Round(time.Millisecond))
		if took > c.within {
			t.Errorf("%s: %d sessions back after %v, want %v", c.how, count, took, c.within)
		}
		for _, f := range all {
			offloaded(w.World, f.tuple)
		}
		removed := 0
		for _, l := range a.Log() {
			if l.Msg == "remove" && !l.Time.Before(at) {
				removed++
				if cause := l.Attrs["cause"]; !slices.Contains(c.causes, cause) {
					t.Errorf("%s: a session left for %s, want %v", c.how, cause, c.causes)
				}
			}
		}
		if removed != count {
			t.Errorf("%s: %d of %d sessions left", c.how, removed, count)
		}
		hits := w.NIC.Counters(t).Hits
		harness.Within(t, patience, "the NIC forwards again", func() error {
			if now := w.NIC.Counters(t).Hits; now < hits+100 {
				return fmt.Errorf("%d hits", now-hits)
			}
			return nil
		})
	}
}
