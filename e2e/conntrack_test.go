package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// Counters that are switched off, events that are lost in a flood, a table that is
// full and a zone that is flushed: what may stay stays, what has ended leaves.
func TestConntrackWeather(t *testing.T) {
	w := harness.SwitchedPair(t)
	r, gone := startRunning(w, 48400)
	a := r.agent
	kept, other := elephantFlow(w, "tcp", 48401), elephantFlow(w, "tcp", 48402)
	stays := []connection{offloaded(w.World, kept.tuple), offloaded(w.World, other.tuple)}
	switchedOff(w)

	a.Signal(t, syscall.SIGSTOP)
	w.Run(t, append([]string{"conntrack", "-D"}, r.filter...)...)
	began := time.Now()
	n := w.Flood(t)
	t.Logf("%d connections in %v fill the table", n, time.Since(began).Round(time.Millisecond))
	began = time.Now()
	a.Signal(t, syscall.SIGCONT)
	at := left(t, a, gone, "gone")
	t.Logf("out %v after it could be known", at.Sub(began).Round(time.Millisecond))
	harness.Within(t, patience, "the overrun is counted", func() error {
		if !regexp.MustCompile(`event_overruns +- +[1-9]`).MatchString(ctl(w.World, "stats")) {
			return fmt.Errorf("%s", ctl(w.World, "stats"))
		}
		return nil
	})
	harness.Throughout(t, 3*time.Second, "the others stay", func() error {
		for _, c := range stays {
			if now := becomes(w.World, 0, c.Tuple, "offloaded", "elephant"); now.ID != c.ID {
				return fmt.Errorf("was %+v, is %+v", c, now)
			}
		}
		return nil
	})
	pairs(t, w.World, 0)
	mustMatch(t, ctl(w.World, "show"), `budget conntrack is used up`)
	if _, err := w.Conntrack(kept.filter...); err != nil {
		t.Error(err)
	}

	w.Run(t, "conntrack", "-D", "-w", fmt.Sprint(w.Zone))
	first, second := left(t, a, stays[0], "gone"), left(t, a, stays[1], "gone")
	if d := second.Sub(first).Abs(); d > time.Second {
		t.Errorf("%v between two sessions of one zone", d)
	}
	pairs(t, w.World, backWithin)
}

// switchedOff switches conntrack's counters off for a while.
func switchedOff(w *harness.Pair) {
	t := w.T
	t.Helper()
	const key = "net.netfilter.nf_conntrack_acct"
	told := func(want bool) {
		harness.Within(t, patience, fmt.Sprint("told what to do: ", want), func() error {
			show, _ := tryCtl(w.World, "show")
			problem := regexp.MustCompile(`(?m)^ *! conntrack-settings: failed .*` + key + ` is 0, must be 1: .*sysctl -w ` + key + `=1$`)
			if problem.MatchString(show) != want || strings.HasPrefix(show, "READY") == want {
				return fmt.Errorf("%s", show)
			}
			return nil
		})
	}
	setSysctl(w.World, key, "0")
	f := dial(w, "tcp", false, 48410)
	f.Do(1, "chat 100")
	becomes(w.World, patience, f.tuple, "following", "no-counters")
	told(true)
	w.Run(t, "sysctl", "-qw", key+"=1")
	told(false)
	f.Do(1, "rst")
}
