package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// Counters that are switched off, an end that nobody heard of, events that are lost in
// a flood, a table that is full, a zone that is flushed: what may stay stays, what has
// ended leaves.
func TestConntrackWeather(t *testing.T) {
	w := harness.SwitchedPair(t)
	r, gone := startRunning(w, 48400)
	a := r.agent
	kept, other := elephantFlow(w, "tcp", 48401), elephantFlow(w, "tcp", 48402)
	stays := []connection{offloaded(w.World, kept.tuple), offloaded(w.World, other.tuple)}
	switchedOff(w)

	a.Signal(t, syscall.SIGSTOP)
	w.Run(t, append([]string{"conntrack", "-D"}, r.filter...)...)
	flood := slow()
	if flood {
		t.Logf("%d connections fill the table", w.Flood(t))
	}
	began := time.Now()
	a.Signal(t, syscall.SIGCONT)
	at := left(t, a, gone, "gone")
	t.Logf("out %v after it could be known", at.Sub(began).Round(time.Millisecond))
	if flood {
		harness.Within(t, patience, "the overrun is counted", func() error {
			if stats := ctl(w.World, "stats"); !regexp.MustCompile(`event_overruns +- +[1-9]`).MatchString(stats) {
				return fmt.Errorf("%s", stats)
			}
			return nil
		})
		harness.Within(t, patience, "the full table is told", func() error {
			w.Flood(t) // others end meanwhile
			if show := ctl(w.World, "show"); !strings.Contains(show, "budget conntrack is used up") {
				return fmt.Errorf("%s", show)
			}
			return nil
		})
	}
	harness.Throughout(t, 3*time.Second, "the others stay", func() error {
		now := sessions(w.World)
		for _, c := range stays {
			if !slices.ContainsFunc(now, func(s session) bool { return s.ID == c.ID && s.State == "offloaded" }) {
				return fmt.Errorf("%+v is none of %+v", c, now)
			}
		}
		return nil
	})
	pairs(t, w.World, 0)

	w.Run(t, "conntrack", "-D", "-w", fmt.Sprint(w.Zone))
	flushed := time.Now()
	for _, c := range stays {
		if d := left(t, a, c, "gone").Sub(flushed); d > time.Second {
			t.Errorf("%s: out %v after the zone was flushed", c.Tuple, d)
		}
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
