package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// drops and inspects are policies about all connections.
var (
	drops    = simPolicies{{ref: 8, share: shares, verdict: flows.Drop}}
	inspects = simPolicies{{ref: 9, share: shares, verdict: flows.Inspect}}
)

// Many sessions are looked at in portions, and none is forgotten, whichever leave meanwhile.
func TestSieve(t *testing.T) {
	before := simPolicies{mild(1)}
	g, _, now := policed(t, 10, before)
	offloadedAll(t, g, 10)
	g.sieve.portion = 3
	effects := g.Step(now, []Event{PoliciesChanged{Policies: inspects, Concerns: before.concerns(inspects)}})
	if n := removals(effects, flows.PolicyInspect); n != 3 || !g.Unfinished() {
		t.Errorf("promise 3: the first step has removed %d, want 3", n)
	}
	effects = append(effects, g.Step(now, []Event{EntriesGone{[]flows.EntryKey{g.list[0].primary().key, g.list[9].primary().key}}})...)
	for g.Unfinished() {
		effects = append(effects, g.Step(now, nil)...)
	}
	drive(g, now, effects, noEntry, benchPaths)
	if len(g.list) > 0 {
		t.Errorf("promise 3: %v are left", g.Used())
	}
}

// Who leaves for another reason before it was looked at is denied nevertheless if policies drop
// it: else it could come back when that reason is gone.
func TestSieveHasTheLastWord(t *testing.T) {
	before := simPolicies{mild(1)}
	g, _, now := policed(t, 3, before)
	offloadedAll(t, g, 3)
	g.sieve.portion = 1
	effects := g.Step(now, []Event{PoliciesChanged{Policies: drops, Concerns: before.concerns(drops)}})
	effects = append(effects, g.Step(now, []Event{ModeChanged{Reason: flows.ModeSwitched}})...)
	if n := removals(effects, flows.PolicyDrop); n != 3 {
		t.Errorf("promise 3: %d are denied, want 3: %v", n, effects)
	}
}

// A change that comes while the one before is looked at passes over nothing, and makes no
// step longer.
func TestSieveOfTwoChanges(t *testing.T) {
	before := simPolicies{mild(1)}
	for _, tt := range []struct {
		name   string
		then   simPolicies
		leave  flows.Reason // by the second change
		n      int
		within int // steps
	}{
		{"another", inspects, flows.PolicyInspect, 4, 10},
		{"taken back", before, "", 0, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, _, now := policed(t, 5, before)
			offloadedAll(t, g, 5)
			g.sieve.portion = 1
			effects := g.Step(now, []Event{PoliciesChanged{Policies: drops, Concerns: before.concerns(drops)}})
			if n := removals(effects, flows.PolicyDrop); n != 1 {
				t.Errorf("promise 3: %d were dropped by the first step, want 1", n)
			}
			effects = g.Step(now, []Event{PoliciesChanged{Policies: tt.then, Concerns: drops.concerns(tt.then)}})
			steps := 1
			for ; g.Unfinished(); steps++ {
				more := g.Step(now, nil)
				if len(more) > 1 {
					t.Errorf("a step of one session removes %d", len(more))
				}
				effects = append(effects, more...)
			}
			if n := len(effects); n != tt.n || n > 0 && removals(effects, tt.leave) != n || steps > tt.within {
				t.Errorf("promise 1: after %d steps %v, want %d to leave", steps, effects, tt.n)
			}
		})
	}
}

// However many changes come, and however fast, each pass ends, and what is held of them is
// bounded.
func TestSieveOfManyChanges(t *testing.T) {
	list := simPolicies{mild(1)}
	g, _, now := policed(t, 5, list)
	offloadedAll(t, g, 5)
	g.sieve.portion = 1
	asked := 0
	for i := range 100 {
		next := simPolicies{{ref: flows.PolicyRef(2 + i), share: shares - 1, verdict: flows.Drop}, mild(1)}
		if i == 90 {
			next = inspects
		}
		concerns := list.concerns(next)
		effects := g.Step(now, []Event{PoliciesChanged{Policies: next, Concerns: func(p flows.PolicyRef, s *flows.Subject) bool {
			asked++
			return concerns(p, s)
		}}})
		if n := len(g.sieve.next.list) + len(g.sieve.pass.list); n > 2*maxChanges || len(effects) > 1 {
			t.Fatalf("%d changes are held, %d effects", n, len(effects))
		}
		if told, done := g.PoliciesTold(); told != uint64(i+2) || told-done > 10 || done == told {
			t.Errorf("of %d changes, %d are done", told, done)
		}
		list = next
		if i == 90 {
			break
		}
	}
	for range 10 {
		g.Step(now, nil)
	}
	if told, done := g.PoliciesTold(); told != done {
		t.Errorf("of %d changes, %d are done", told, done)
	}
	if g.Unfinished() || g.Used()[Removing] != 5 || g.sieve.pass.any || asked == 0 {
		t.Errorf("promise 1: %v, %+v, asked %d times", g.Used(), g.sieve, asked)
	}
}

// What leaves for another reason, before it was looked at, and is dropped, stays away.
func TestSieveOfWhatLeaves(t *testing.T) {
	before := simPolicies{mild(1)}
	for _, name := range []string{"is removed", "was removed", "is gone"} {
		t.Run(name, func(t *testing.T) {
			g, entries, now := policed(t, 4, before)
			offloadedAll(t, g, 4)
			g.sieve.portion = 1
			s := g.list[0]
			key := s.primary().key
			events := []Event{PoliciesChanged{Policies: drops, Concerns: before.concerns(drops)}}
			switch name {
			case "is removed":
				events = append(events, RulesVanished{[]flows.SessionID{s.id}})
			case "was removed":
				g.Step(now, []Event{RulesVanished{[]flows.SessionID{s.id}}})
				events = append(events, Removed{Session: s.id, Op: s.op})
			default:
				events = append(events, EntriesGone{[]flows.EntryKey{key}})
			}
			effects := g.Step(now, events)
			if name == "is gone" && g.tombstones.expires[key.Tuple] == 0 {
				t.Error("promise 3: it is not remembered that it was denied")
			}
			drive(g, now, effects, noEntry, benchPaths)
			now = now.Add(time.Minute)
			for _, e := range g.Step(now, []Event{PoliciesChanged{Policies: before}, EntriesRead{At: now, Entries: entries[key.ID : key.ID+1]}}) {
				if _, ok := e.(Resolve); ok && name != "is gone" {
					t.Error("promise 3: it comes back")
				}
			}
		})
	}
}

// What waits to be installed is asked about by the new policies, looked at or not.
func TestSieveBeforeInstall(t *testing.T) {
	before := simPolicies{mild(1)}
	g, entries, now := policed(t, 3, before)
	offloadedAll(t, g, 3)
	s := g.list[0]
	leaving := g.Step(now, []Event{RulesVanished{[]flows.SessionID{s.id}}})
	drive(g, now, leaving, noEntry, benchPaths)
	now = now.Add(time.Minute)
	effects := g.Step(now, []Event{EntriesRead{At: now, Entries: entries}})
	var relax Relax
	for len(effects) > 0 && relax.Session == 0 {
		var events []Event
		for _, e := range effects {
			switch e := e.(type) {
			case Resolve:
				events = append(events, PathResolved{Session: e.Session, Op: e.Op, Paths: pathsOf(e), Tuples: [2]flows.Tuple{e.Entry.Tuple, e.Reply}})
			case Relax:
				if e.Step == SetLiberal {
					relax = e
				}
			}
		}
		if len(events) == 0 {
			break
		}
		effects = g.Step(now, events)
	}
	if relax.Session == 0 {
		t.Fatalf("it is not about to be installed: %v", g.Used())
	}
	at := g.sessions[relax.Session]
	first := g.list[0]
	g.list[at.index], g.list[0] = first, at // it is looked at last
	first.index, at.index = at.index, 0
	g.sieve.portion = 1
	effects = g.Step(now, []Event{PoliciesChanged{Policies: inspects, Concerns: before.concerns(inspects)}, Relaxed{Session: relax.Session, Op: relax.Op}})
	for _, e := range effects {
		if _, ok := e.(Install); ok {
			t.Error("promise 1: it is installed by policies that are gone")
		}
	}
}

// BenchmarkSieve is a change of policies that concerns one in a thousand sessions: the longest
// step, and all of them.
func BenchmarkSieve(b *testing.B) {
	n := 400_000
	if testing.Short() {
		n = 4000
	}
	g, _, now := fullEngine(b, n, 0)
	longest, total := time.Duration(0), time.Duration(0)
	concerns := func(_ flows.PolicyRef, s *flows.Subject) bool {
		return s.Tuple.Src.As4()[3] == 77 && s.Tuple.DstPort == 1
	}
	b.ResetTimer()
	for b.Loop() {
		events := []Event{PoliciesChanged{Policies: g.policies, Concerns: concerns}}
		for again := true; again; again = g.Unfinished() {
			began := time.Now()
			g.Step(now, events)
			events = nil
			longest = max(longest, time.Since(began))
			total += time.Since(began)
		}
	}
	b.ReportMetric(float64(longest.Microseconds())/1e3, "ms/longest-step")
	b.ReportMetric(float64(total.Microseconds())/1e3/float64(b.N), "ms/change")
}
