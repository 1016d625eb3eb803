package engine

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	seed  = flag.Uint64("seed", 0, "seed of the simulation; 0 takes the time")
	steps = flag.Int("steps", 100_000, "steps of the simulation")
)

func simulationConfig() Config {
	cfg := DefaultConfig()
	cfg.Enforce = true
	cfg.Elephant = Elephant{Bytes: 10_000, Rate: 20_000, LeaveRate: 5_000, LeaveAfter: 5 * time.Second}
	cfg.Mark = Mark{Offload: MaskedMark{0x10, 0x10}, Never: MaskedMark{0x20, 0x20}, Blocked: MaskedMark{0x1, 0x1}}
	cfg.Timeouts = Timeouts{TCP: 20, UDP: 6, GRE: 6, Generic: 6}
	cfg.Mark.Deny, cfg.PermissionSources, cfg.PermissionGrace = true, []string{"a", "b"}, 5*time.Second
	cfg.AwaitPolicies = true
	cfg.Capacity = 10
	cfg.Relearn = 2 * time.Second
	cfg.InsertRate = 3
	cfg.MaxLifetime = 15 * time.Second
	cfg.IdleAfter = 20 * time.Second
	cfg.ReadInterval = 2 * time.Second
	return cfg
}

// TestSimulation runs the engine in a world of random events, slow executors and
// faults, and checks the promises after every step.
func TestSimulation(t *testing.T) {
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	const worlds = 10
	var seen [worlds]*world
	t.Cleanup(func() { eventful(t, seen[:]) })
	for i := range uint64(worlds) {
		t.Run(fmt.Sprintf("seed=%d", first+i), func(t *testing.T) {
			t.Parallel()
			cfg := simulationConfig()
			cfg.RequireHW = i%5 >= 3
			w := newWorld(first+i, cfg, i%2 == 1, i%4 >= 2)
			simulate(t, w, *steps/worlds)
			seen[i] = w
		})
	}
}

func simulate(t *testing.T, w *world, steps int) {
	t.Helper()
	for n := range steps {
		if n >= steps-2000 && w.up {
			w.ending = true
			w.events = append(w.events, Stop{})
		}
		w.step()
		w.seen.check(w)
		if len(w.seen.broken) > 0 {
			t.Fatalf("step %d: %s", n, w.seen.broken)
		}
	}
	if len(w.rules) > 0 || len(w.engine.sessions) > 0 {
		t.Fatalf("promise 5: after Stop %d rules and %d sessions are left", len(w.rules), len(w.engine.sessions))
	}
	w.total.add(w.engine.Counts())
	t.Logf("%+v, %d agents; at the end %v, removals %v", w.total, w.agents, w.engine.Counts().Followed, w.engine.Counts().Removals)
}

// eventful fails if too little has happened in all worlds together to show anything. One alone
// may be quiet: nobody sends much, or what is restless is so from the beginning.
func eventful(t *testing.T, worlds []*world) {
	t.Helper()
	var calm, restless totals
	for _, w := range worlds {
		switch {
		case w == nil:
			return // it has failed, and says why
		case w.restless:
			restless.join(w.total)
		default:
			calm.join(w.total)
		}
	}
	all := calm
	all.join(restless)
	n := uint64(*steps)
	if all.installs < n/500 || all.translated < all.installs/10 || all.inspected < n/10000 || all.validated < n/250 || calm.keepAlives < n/5000 || restless.refuted+restless.adopted < n/1000 {
		t.Errorf("the worlds were too quiet to show anything: calm %+v, restless %+v", calm, restless)
	}
}

// totals are sums over the agents of a world.
type totals struct{ installs, inspected, translated, keepAlives, adopted, doubts, validated, refuted uint64 }

func (t *totals) add(c Counts) {
	t.join(totals{
		installs: c.Installs, keepAlives: c.KeepAlives, adopted: c.Adopted,
		doubts: c.Doubts, validated: c.Validated, refuted: c.Refuted,
	})
}

func (t *totals) join(o totals) {
	t.installs += o.installs
	t.inspected += o.inspected
	t.translated += o.translated
	t.keepAlives += o.keepAlives
	t.adopted += o.adopted
	t.doubts += o.doubts
	t.validated += o.validated
	t.refuted += o.refuted
}

// TestStepIsDeterministic runs the same world twice.
func TestStepIsDeterministic(t *testing.T) {
	var logs [2]string
	for i := range logs {
		w := newWorld(7, simulationConfig(), true, true)
		for range 3000 {
			logs[i] += fmt.Sprintf("%v\n", w.step())
		}
	}
	if logs[0] != logs[1] {
		t.Fatal("the same events at the same times led to different effects")
	}
}
