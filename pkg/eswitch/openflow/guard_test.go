package openflow

import (
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
)

// TestGuardsEndLast: whenever the last Keep was, rules never stand without their guards.
func TestGuardsEndLast(t *testing.T) {
	const hard = 9 * time.Second
	w := newWorld(t, Config{Hard: hard})
	e := w.prepared(t, w.driver)
	routed := func(n int) flows.Session { return w.Shaped(n, eswitchtest.Shape{Proto: flows.TCP, Hops: 1}) }
	mustInstall(t, e, routed(1))
	if err := e.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := time.Now()
	until(t, hard, "just before the next Keep", func() bool { return time.Since(kept) >= hard/keepShare })
	mustInstall(t, e, routed(2))
	until(t, 2*hard, "ended", func() bool {
		rules, guards := 0, 0
		for _, f := range w.flows() {
			if strings.Contains(f, "resubmit") {
				guards++
			} else {
				rules++
			}
		}
		if rules > 0 && guards < 2*fewHops {
			t.Fatalf("%d rules and %d flows of guards after %v", rules, guards, time.Since(kept))
		}
		return rules == 0
	})
}

// TestLongestTimeout: that of guards is told in 16 bits.
func TestLongestTimeout(t *testing.T) {
	for hard, want := range map[time.Duration]bool{maxHard * time.Second: true, (maxHard + 1) * time.Second: false} {
		d, err := Open(Config{Hard: hard})
		if (err == nil) != want {
			t.Errorf("%v: %v", hard, err)
		}
		if err != nil {
			continue
		}
		if longest := d.guardHard(); uint32(longest) < uint32(d.hard())*4/3 || longest < 65530 {
			t.Errorf("guards live for %d s, rules for %d", longest, d.hard())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
