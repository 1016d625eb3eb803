package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// attempts is how often a time is measured that must be short once: where other
// machines are emulated beside this one, it stands still for seconds.
const attempts = 3

// What somebody else takes out of tc is there again at once, after another look at
// the connection, and why it was away is shown.
func TestRulesVanish(t *testing.T) {
	betterOnEswsim(t)
	w := harness.SwitchedPair(t)
	r, c := startRunning(w, 48000, "--count-interval=3s") // a reading of counters that nobody asks for is too late
	rule := func(dev string) (filter []string) {
		for _, f := range w.Rules() {
			if f.Dev == dev {
				return []string{"tc", "filter", "del", "dev", dev, "ingress", "protocol", "ip", "pref", fmt.Sprint(f.Pref),
					"handle", fmt.Sprintf("%#x", f.Handle), "flower"}
			}
		}
		t.Fatalf("no rule on %s", dev)
		return nil
	}
	steps := []struct {
		name    string
		command func() []string
	}{
		{"qdisc", func() []string { return []string{"tc", "qdisc", "del", "dev", w.A.Rep, "clsact"} }},
		{"one rule", func() []string { return rule(w.B.Rep) }},
		{"a preference", func() []string { return rule(w.A.Rep)[:10] }},
		{"a chain", func() []string { return []string{"tc", "chain", "del", "dev", w.B.Rep, "ingress", "chain", "0"} }},
	}
	removals := 0
	for _, s := range steps {
		away := backWithin + 1
		for range attempts {
			if away <= backWithin {
				break
			}
			command := s.command()
			began := time.Now()
			w.Run(t, command...)
			out := left(t, r.agent, c, "rules-vanished")
			removals++
			var at time.Time
			c, at = r.back(c)
			away = at.Sub(began)
			t.Logf("%s: noticed after %v, back after %v", s.name, out.Sub(began).Round(time.Millisecond), away.Round(time.Millisecond))
			rulesWithin(t, w.World, 0, 2)
			pairs(t, w.World, 0)
		}
		if away > backWithin {
			t.Errorf("%s: away for more than %v, %d times", s.name, backWithin, attempts)
		}
	}
	mustMatch(t, ctl(w.World, "stats"), fmt.Sprintf(`removals +cause=rules-vanished +%d\n`, removals))
	r.arrives()
	r.agent.Stop()
	nothingLeft(t, w.World)
}
