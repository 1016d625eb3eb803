package policy_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// seed returns a new seed, or the one of FLOWSHUNT_SEED, and prints it.
func seed(t testing.TB) uint64 {
	s := rand.Uint64()
	if env := os.Getenv("FLOWSHUNT_SEED"); env != "" {
		var err error
		if s, err = strconv.ParseUint(env, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FLOWSHUNT_SEED=%d", s)
	return s
}

// TestTableEqualsNaive shows that a table judges as the documentation says, that what
// becomes known takes nothing back, and that a Change names every decision that is another.
func TestTableEqualsNaive(t *testing.T) {
	s := seed(t)
	var sum tally
	for run := range uint64(400) {
		w := &world{rand.New(rand.NewPCG(s, run))}
		if play(t, w, &sum, 4, 40); t.Failed() {
			t.Fatalf("in run %d", run)
		}
	}
	t.Logf("%+v", sum)
	if sum.offloaded < sum.judged/10 || sum.doubted < sum.judged/20 || sum.changed < sum.judged/50 || sum.concerned > sum.judged/2 || sum.hoped < sum.judged/1000 {
		t.Error("the samples show too little")
	}
}

// FuzzTable does the same with what fuzzing makes of the choices.
func FuzzTable(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		play(t, &world{rand.New(rand.NewPCG(a, b))}, new(tally), 2, 30)
	})
}

type tally struct{ judged, offloaded, doubted, hoped, changed, concerned int }

func play(t *testing.T, w *world, sum *tally, steps, samples int) {
	t.Helper()
	n := w.all()
	table, _ := n.compile(nil)
	for range steps {
		next := w.change(n)
		if w.one(20) {
			next = n
		}
		now, problems := next.compile(table)
		if len(problems) > 0 {
			t.Fatalf("problems: %+v", problems)
		}
		change := policy.Diff(table, now)
		for range samples {
			s := w.subject()
			before, after := table.Decide(&s), now.Decide(&s)
			if got, want := named(now, after), next.decide(&s); got != want {
				t.Fatalf("%+v:\n got %v\nwant %v\nof %+v", s, got, want, *next)
			}
			sum.judged++
			sum.count(after)
			complete(t, w, sum, now, s)
			if s.Placed {
				agree(t, now, s, after, next.learned(w, now).Decide(&s))
			}
			differs := before != after || table.Terms(before.Policy) != now.Terms(after.Policy) || table.Terms(before.Hope) != now.Terms(after.Hope)
			concerned := change.Concerns(before.Policy, &s)
			switch {
			case differs && !concerned:
				t.Fatalf("%+v: was %v, is %v, and that is no concern", s, named(table, before), named(now, after))
			case differs:
				sum.changed++
			case concerned && change.IsEmpty():
				t.Fatalf("%+v: nothing has changed, and it is a concern", s)
			}
			if concerned {
				sum.concerned++
			}
		}
		n, table = next, now
	}
}

// learned is a table to which all ports are known wholly.
func (n *naive) learned(w *world, table *policy.Table) *policy.Table {
	ports := make([]policy.Port, len(n.ports))
	for i, p := range n.ports {
		ports[i] = w.learn(p)
	}
	return table.WithPorts(ports)
}

func (a *tally) count(d flows.Decision) {
	if d.Verdict == flows.Offload && d.Doubt == 0 {
		a.offloaded++
	}
	if d.Doubt != 0 {
		a.doubted++
	}
}

// complete makes known what was not, in some order, and judges again.
func complete(t *testing.T, w *world, sum *tally, table *policy.Table, s flows.Subject) {
	t.Helper()
	d := table.Decide(&s)
	if !s.Placed {
		w.place(&s)
		now := table.Decide(&s)
		if d.Hope == 0 && now.Verdict == flows.Offload && now.Doubt == 0 {
			t.Fatalf("%+v: without hope, and then %v", s, named(table, now))
		}
		if now.Verdict == flows.Offload && (d.Verdict != flows.Offload || d.Doubt != 0) {
			sum.hoped++
		}
		agree(t, table, s, d, now)
	}
	if s.DSCP == 0 && w.one(2) {
		s.DSCP = w.dscp()
		now := table.Decide(&s)
		if d.Hope == 0 && now.Verdict == flows.Offload && now.Doubt == 0 {
			t.Fatalf("%+v: without hope, and then %v", s, named(table, now))
		}
		agree(t, table, s, d, now)
	}
	if !s.Content.Known {
		s.Content = w.content()
		agree(t, table, s, d, table.Decide(&s))
	}
}

func agree(t *testing.T, table *policy.Table, s flows.Subject, d, now flows.Decision) {
	t.Helper()
	if d.Doubt == 0 && d.Policy != 0 && d.Verdict != flows.Inspect && (now.Verdict != d.Verdict || now.Doubt != 0) {
		t.Fatalf("%+v: was certain of %v, is %v", s, named(table, d), named(table, now))
	}
}
