package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// Flows of a herd are elephants, all of them.
var herdFlags = []string{
	"--log-level=info", "--elephant-bytes=2400", "--elephant-rate=20", "--leave-rate=10", "--leave-after=2m", "--idle=1m",
}

// A table that is too small holds the flows that are worth most: ten times as many
// elephants as it has room for, whose sizes the story knows and the agent does not.
// How much room there is the agent learns from the NIC alone, and also that it grew.
func TestTableEswsim(t *testing.T) {
	slowly(t)
	const (
		flows, best    = 5000, 500
		rate, skew     = 3e6, 0.8
		window         = 40 * time.Second
		churnPerMinute = 300 // at most; flows at the margin send less than a packet a second, so their rates are rough
		lines          = 60  // of log, at most
	)
	harness.OnEswsim(t)
	w := harness.SwitchedPair(t)
	w.NIC.Set(t, "capacity", 2*best)
	a := startAgent(w.World, herdFlags...)
	explainOnFailure(w.World)
	herd := w.A.Herd(t, w.B, flows, rate, skew)
	inTheNIC(w.World, 2*time.Minute, 2*best*98/100)
	settled := statsOf(w.World)
	<-time.After(20 * time.Second) // the story of the first choice is over; this one is of what stays

	before, slowBefore, churnBefore := herd.Report(), w.Counters(t, w.A.Rep).RxPackets, statsOf(w.World)
	<-time.After(window)
	after, slowAfter, churnAfter := herd.Report(), w.Counters(t, w.A.Rep).RxPackets, statsOf(w.World)

	grown := after.Since(before)
	sent, wanted := sum(grown), sum(grown[:best])
	past := sent - int64(slowAfter-slowBefore)*harness.HerdSize
	share := float64(past) / float64(wanted)
	installs := churnAfter["installs"] - churnBefore["installs"]
	perMinute := float64(installs) / window.Minutes()
	counters := w.NIC.Counters(t)
	t.Logf("%d flows, %.1f MB/s; the best %d are %.1f %% of that, the NIC forwarded %.1f %%: %.3f of the best possible; %.0f installs/minute (%d before); %d insertions refused for want of room",
		flows, float64(sent)/window.Seconds()/1e6, best, 100*float64(wanted)/float64(sent), 100*float64(past)/float64(sent), share, perMinute, settled["installs"], counters.Full)
	if share < 0.95 || share > 1.02 {
		t.Errorf("%.3f of the bytes that the best %d would have given, want at least 0.95", share, best)
	}
	if perMinute > churnPerMinute {
		t.Errorf("%.0f installs per minute, want at most %d", perMinute, churnPerMinute)
	}
	if counters.Full == 0 {
		t.Error("the NIC never said that it was full: the story shows nothing")
	}

	w.NIC.Set(t, "capacity", 3*best)
	inTheNIC(w.World, time.Minute, 3*best*95/100)
	if n := len(a.Log()); n > lines {
		t.Errorf("%d lines of log, want at most %d:\n%s", n, lines, a.Output())
	}
}

func sum(list []int64) (n int64) {
	for _, v := range list {
		n += v
	}
	return n
}

// inTheNIC waits until the NIC has at least so many rules.
func inTheNIC(w *harness.World, limit time.Duration, rules uint64) {
	w.T.Helper()
	harness.Within(w.T, limit, fmt.Sprintf("%d rules in the NIC", rules), func() error {
		if n := w.NIC.Counters(w.T).Rules; n < rules {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
}

// withAgent calls f with a client of the agent's control API.
func withAgent(w *harness.World, f func(context.Context, *control.Client) error) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), time.Minute)
	defer cancel()
	c, err := control.Dial(ctx, socket(w))
	if err != nil {
		w.T.Fatal(err)
	}
	defer c.Close()
	if err := f(ctx, c); err != nil {
		w.T.Fatal(err)
	}
}

// explainOnFailure tells, if a story fails, how many sessions came and left, and why.
func explainOnFailure(w *harness.World) {
	w.T.Cleanup(func() {
		if w.T.Failed() {
			out, _ := tryCtl(w, "stats")
			w.T.Logf("flowshuntctl stats:\n%s\nthe NIC: %+v", out, w.NIC.Counters(w.T))
		}
	})
}

// statsOf are the agent's counters that have no labels.
func statsOf(w *harness.World) map[string]uint64 {
	w.T.Helper()
	values := make(map[string]uint64)
	withAgent(w, func(ctx context.Context, c *control.Client) error {
		list, err := c.Stats(ctx)
		for _, s := range list {
			if len(s.Labels) == 0 {
				values[s.Name] = s.Value
			}
		}
		return err
	})
	return values
}

// A NIC that takes its time is used as far as it can be. It is so slow that even an
// emulated machine finds more sessions than it takes; how quickly the agent answers
// meanwhile is measured where nothing is emulated, by TestSlowDriver of pkg/agent.
func TestBudgetEswsim(t *testing.T) {
	slowly(t)
	const (
		flows     = 600
		insertion = 20 * time.Millisecond // 50 rules a second, 44 at the slack of the model's timer
		least     = 0.8 * 44
		window    = 10 * time.Second
	)
	harness.OnEswsim(t)
	w := harness.SwitchedPair(t)
	w.NIC.Set(t, "insert_us", int(insertion.Microseconds()))
	startAgent(w.World, herdFlags...)
	explainOnFailure(w.World)
	w.A.Herd(t, w.B, flows, 1e6, 0)
	inTheNIC(w.World, time.Minute, flows/10)
	began, first := time.Now(), w.NIC.Counters(t).Adds
	<-time.After(window)
	rate := float64(w.NIC.Counters(t).Adds-first) / time.Since(began).Seconds()
	t.Logf("%.1f insertions per second", rate)
	if rate < least {
		t.Errorf("%.1f insertions per second, want %.1f", rate, least)
	}
}

// With --hardware=both, the default, a NIC without room is no reason to let the kernel
// execute rules: who does not fit waits. What the NIC cannot do, the kernel does.
func TestBothEswsim(t *testing.T) {
	slowly(t)
	harness.OnEswsim(t)
	w := harness.SwitchedPair(t)
	w.NIC.Set(t, "capacity", 4)
	startAgent(w.World, append([]string{"--hardware=both"}, modest...)...)
	w.B.Listen(t, "udp", 9000, true)
	w.NIC.Set(t, "refuse_permille", 1000)
	odd := elephantFlow(w, "udp", 47000)
	harness.Within(t, patience, "offloaded, in software", func() error {
		for _, c := range connections(w.World) {
			if c.Tuple == odd.tuple && c.State == "offloaded" {
				return nil
			}
		}
		return fmt.Errorf("%+v", connections(w.World))
	})
	if rules, hw := w.Rules(), w.NIC.Counters(t); len(rules) != 2 || hw.Rules > 0 {
		t.Errorf("%d rules in tc, %d in the NIC that refuses all", len(rules), hw.Rules)
	}
	odd.Stop()
	rulesWithin(t, w.World, patience, 0)
	w.NIC.Set(t, "refuse_permille", 0)
	var all []*flow
	for i := range 4 {
		all = append(all, elephantFlow(w, "udp", uint16(47001+i)))
	}
	inTheNIC(w.World, patience, 4)
	harness.Within(t, patience, "two in the NIC, two wait", func() error {
		in, wait := 0, 0
		for _, c := range connections(w.World) {
			switch {
			case c.State == "offloaded":
				in++
			case c.Reason == "table-full":
				wait++
			}
		}
		if in != 2 || wait != 2 {
			return fmt.Errorf("%d in, %d wait", in, wait)
		}
		return nil
	})
	for _, r := range w.Rules() {
		if !r.InHW {
			t.Errorf("%v: not in the NIC", r)
		}
	}
	for _, f := range all {
		f.Stop()
	}
}
