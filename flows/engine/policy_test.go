package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// mild is a policy that offloads what has moved little, after ten packets each way.
func mild(ref flows.PolicyRef) simPolicy {
	return simPolicy{ref: ref, share: shares, verdict: flows.Offload, terms: flows.Terms{InspectPackets: 10}}
}

// policed returns an engine between ports 1 and 2 that has been told policies, with n sessions.
func policed(tb testing.TB, n int, policies simPolicies) (*Engine, []flows.Entry, flows.Instant) {
	tb.Helper()
	cfg := DefaultConfig()
	cfg.Enforce, cfg.AwaitPolicies, cfg.InsertRate, cfg.Capacity, cfg.MaxFollow = true, true, 1e9, n, 2*n
	cfg.Mark.Offload = MaskedMark{4, 4}
	g := newEngineWithPorts(cfg)
	entries := manyEntries(n)
	for i := range entries {
		entries[i].Count = [2]flows.Counters{{Packets: 50, Bytes: 50_000}, {Packets: 50, Bytes: 50_000}}
		entries[i].Key.Tuple.SrcPort = uint16(i)
		entries[i].Reply = entries[i].Key.Tuple.Reverse()
	}
	now := flows.Instant(time.Second)
	effects := g.Step(now, []Event{PoliciesChanged{Policies: policies}, EntriesRead{At: now, Entries: entries}})
	drive(g, now, effects, func(key flows.EntryKey) flows.Entry { return entries[key.ID] }, benchPaths)
	return g, entries, now
}

func offloadedAll(t *testing.T, g *Engine, n int) {
	t.Helper()
	if used := g.Used(); used[Offloaded] != n {
		t.Fatalf("promise 1: %v, want %d offloaded; %v", used, n, g.Counts().Followed)
	}
}

func TestPolicyOffloads(t *testing.T) {
	g, entries, _ := policed(t, 3, simPolicies{mild(1)})
	offloadedAll(t, g, 3)
	if v := g.Explain(&entries[0]).View; v.Reason != flows.PolicyOffload {
		t.Errorf("offloaded for %q", v.Reason)
	}
}

// A policy that says drop denies for ever, one that says inspect or is gone does not.
func TestPolicyTurns(t *testing.T) {
	for _, tt := range []struct {
		name  string
		then  simPolicies
		cause flows.Reason
		again bool
	}{
		{"drop", simPolicies{{ref: 2, share: 1, verdict: flows.Drop}, mild(1)}, flows.PolicyDrop, false},
		{"inspect", simPolicies{{ref: 2, share: 1, verdict: flows.Inspect}, mild(1)}, flows.PolicyInspect, true},
		{"perhaps inspect", simPolicies{{ref: 2, share: 1, content: true, verdict: flows.Inspect}, mild(1)}, flows.PolicyInspect, true},
		{"none", simPolicies{{ref: 2, share: 0, verdict: flows.Offload}, {ref: 3, share: 2, verdict: flows.Offload}}, flows.PolicyNone, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := simPolicies{mild(1)}
			g, entries, now := policed(t, 6, before)
			offloadedAll(t, g, 6)
			asked := 0
			concerns := before.concerns(tt.then)
			effects := g.Step(now, []Event{PoliciesChanged{Policies: tt.then, Concerns: func(ref flows.PolicyRef, s *flows.Subject) bool {
				asked++
				return concerns(ref, s)
			}}})
			if n := removals(effects, tt.cause); n != 2 || asked != 6 {
				t.Fatalf("%d of %d sessions are removed for it, want 2: %v", n, asked, effects)
			}
			drive(g, now, effects, noEntry, benchPaths)
			if x := g.Explain(&entries[1]); x.View.Reason != tt.cause {
				t.Errorf("the reason is %q (%s)", x.View.Reason, x.View.Detail)
			}
			for i := range entries { // what comes back is inspected first
				entries[i].Count[flows.Orig].Packets += 10
				entries[i].Count[flows.Reply].Packets += 10
			}
			now = now.Add(time.Minute)
			second := g.Step(now, []Event{PoliciesChanged{Policies: before}, EntriesRead{At: now, Entries: entries}})
			resolved := 0
			for _, e := range second {
				if _, ok := e.(Resolve); ok {
					resolved++
				}
			}
			if want := map[bool]int{true: 2}[tt.again]; resolved != want {
				t.Errorf("%d come back when the policy is as before, want %d", resolved, want)
			}
		})
	}
}

// What a connection's mark asks for needs no terms, but no policy may speak against it.
func TestPolicyAndMark(t *testing.T) {
	for _, tt := range []struct {
		name     string
		policies simPolicies
		want     flows.Reason
	}{
		{"none", simPolicies{{ref: 1, share: 1, verdict: flows.Inspect}}, flows.MarkOffload},
		{"terms", simPolicies{{ref: 1, share: shares, verdict: flows.Offload, terms: flows.Terms{Bytes: 1e9, InspectPackets: 1000}}}, flows.MarkOffload},
		{"inspect", simPolicies{{ref: 1, share: shares, verdict: flows.Inspect}}, flows.PolicyInspect},
		{"at another port", simPolicies{{ref: 1, port: 9, share: shares, verdict: flows.Inspect}, mild(2)}, flows.MarkOffload},
		{"at its port", simPolicies{{ref: 1, port: 2, share: shares, verdict: flows.Inspect}, mild(2)}, flows.PolicyInspect},
		{"perhaps", simPolicies{{ref: 1, content: true, share: shares, verdict: flows.Drop}, mild(2)}, flows.PolicyInspect},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, entries, now := policed(t, 1, tt.policies)
			entries[0].Mark = 4
			now = now.Add(time.Minute)
			effects := g.Step(now, []Event{EntriesRead{At: now, Entries: entries}})
			drive(g, now, effects, func(key flows.EntryKey) flows.Entry { return entries[key.ID] }, benchPaths)
			if v := g.Explain(&entries[0]).View; v.Reason != tt.want && (tt.name != "at another port" || v.Reason != flows.PolicyOffload) {
				t.Errorf("it is %q (%s), want %q", v.Reason, v.Detail, tt.want)
			}
		})
	}
}

// Each direction has to be inspected, and again after a while in the eswitch.
func TestInspectPackets(t *testing.T) {
	p := mild(1)
	p.terms.InspectPackets, p.terms.Reinspect = 60, 5*time.Second
	g, entries, now := policed(t, 1, simPolicies{p})
	if v := g.Explain(&entries[0]).View; v.Reason != flows.Inspecting {
		t.Fatalf("promise 1: after 50 packets each way it is %q", v.Reason)
	}
	read := func(packets ...uint64) {
		now = now.Add(time.Second)
		for d, n := range packets {
			entries[0].Count[d] = flows.Counters{Packets: n, Bytes: 1000 * n}
		}
		effects := g.Step(now, []Event{EntriesRead{At: now, Entries: entries}})
		drive(g, now, effects, func(key flows.EntryKey) flows.Entry { return entries[key.ID] }, benchPaths)
	}
	read(70, 59)
	if v := g.Explain(&entries[0]).View; v.Reason != flows.Inspecting {
		t.Fatalf("promise 1: after 70 and 59 packets it is %q", v.Reason)
	}
	read(70, 60)
	offloadedAll(t, g, 1)
	now = now.Add(6 * time.Second)
	effects := g.Step(now, nil)
	if removals(effects, flows.Reinspect) != 1 {
		t.Fatalf("promise 1: it stays: %v", effects)
	}
	drive(g, now, effects, noEntry, benchPaths)
	read(129, 200)
	if v := g.Explain(&entries[0]).View; v.Reason != flows.Inspecting {
		t.Fatalf("promise 1: after 59 and 140 packets more it is %q", v.Reason)
	}
	read(130, 200)
	offloadedAll(t, g, 1)
}

func TestPolicyLifetime(t *testing.T) {
	p := mild(1)
	p.terms.MaxLifetime = 20 * time.Second
	g, _, now := policed(t, 4, simPolicies{p})
	offloadedAll(t, g, 4)
	if n := removals(g.Step(now.Add(17*time.Second), nil), flows.Lifetime); n != 0 {
		t.Errorf("promise 1: %d leave early", n)
	}
	left := 0
	for range 3 { // a step takes out some
		left += removals(g.Step(now.Add(20*time.Second), nil), flows.Lifetime)
	}
	if left != 4 {
		t.Errorf("promise 1: %d leave in time", left)
	}
}

// Without a word nothing is offloaded, and what is found stays for the grace only.
func TestAwaitPolicies(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Enforce, cfg.AwaitPolicies, cfg.Mark.Offload = true, true, MaskedMark{4, 4}
	g := newEngineWithPorts(cfg)
	entries := manyEntries(1)
	entries[0].Mark = 4
	now := flows.Instant(time.Second)
	for _, e := range g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}) {
		if _, ok := e.(Resolve); ok {
			t.Fatal("it is on its way")
		}
	}
	if v := g.Explain(&entries[0]).View; v.Reason != flows.PolicyUnknown {
		t.Errorf("it is %q", v.Reason)
	}
	g.Step(now, []Event{RulesFound{[]FoundSession{{ID: 9, Tuples: [2]flows.Tuple{entries[0].Key.Tuple, entries[0].Reply}, Paths: benchPaths, InHW: true}}}})
	if g.Used()[Adopting] != 1 {
		t.Fatalf("found, it is not adopted: %v", g.Used())
	}
	if n := removals(g.Step(now.Add(cfg.PermissionGrace), nil), flows.PolicyUnknown); n != 1 {
		t.Errorf("promise 1: past the grace %d are removed", n)
	}
}

// A path is looked for by the terms of a policy that may match; those of the one that does
// have to be met.
func TestTermsOfThePath(t *testing.T) {
	elephants := simPolicy{ref: 2, share: shares, verdict: flows.Offload, terms: flows.Terms{Bytes: 1e9, Rate: 1}}
	elsewhere := simPolicy{ref: 1, port: 9, share: shares, verdict: flows.Offload}
	g, entries, now := policed(t, 1, simPolicies{elsewhere, elephants})
	if v := g.Explain(&entries[0]).View; v.Reason != flows.Mouse || v.Session != 0 {
		t.Fatalf("promise 1: it is %q", v.Reason)
	}
	// Its ports are known now: nobody looks for them again.
	now = now.Add(time.Minute)
	if effects := g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}); len(effects) > 0 {
		t.Errorf("promise 7: %v", effects)
	}
}

// A policy for slow connections keeps them at rates that are slow for others.
func TestPolicyRate(t *testing.T) {
	p := mild(1)
	p.terms.Rate = 1000
	g, entries, now := policed(t, 1, simPolicies{p})
	entries[0].Count[flows.Orig].Bytes += 100_000
	now = now.Add(time.Minute)
	effects := g.Step(now, []Event{EntriesRead{At: now, Entries: entries}})
	drive(g, now, effects, func(key flows.EntryKey) flows.Entry { return entries[key.ID] }, benchPaths)
	offloadedAll(t, g, 1)
	if rate := g.leaveRate(g.list[0]); rate != 250 {
		t.Errorf("promise 1: it leaves below %v bytes per second, want 250", rate)
	}
}

// Rules that are found when it is too late for trust are not taken over.
func TestLateRulesWithoutPolicies(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Enforce, cfg.AwaitPolicies = true, true
	g := newEngineWithPorts(cfg)
	entries := manyEntries(1)
	now := flows.Instant(0).Add(cfg.PermissionGrace + time.Second)
	g.Step(now, []Event{EntriesRead{At: now, Entries: entries}})
	effects := g.Step(now, []Event{RulesFound{[]FoundSession{{ID: 9, Tuples: [2]flows.Tuple{entries[0].Key.Tuple, entries[0].Reply}, Paths: benchPaths, InHW: true}}}})
	if removals(effects, flows.PolicyUnknown) != 1 {
		t.Errorf("promise 1: it stays: %v", g.Used())
	}
}

// What is leaving for another reason when it is dropped, or was not offloaded yet, never
// comes back either.
func TestDropWhileLeaving(t *testing.T) {
	before := simPolicies{mild(1)}
	g, entries, now := policed(t, 1, before)
	offloadedAll(t, g, 1)
	leaving := g.Step(now, []Event{RulesVanished{[]flows.SessionID{1}}})
	g.Step(now, []Event{PoliciesChanged{Policies: simPolicies{{ref: 2, share: shares, verdict: flows.Drop}}}})
	drive(g, now, leaving, noEntry, benchPaths)
	now = now.Add(time.Minute)
	for _, e := range g.Step(now, []Event{PoliciesChanged{Policies: before}, EntriesRead{At: now, Entries: entries}}) {
		if _, ok := e.(Resolve); ok {
			t.Error("promise 3: it comes back")
		}
	}
}

// One that may be to be inspected, by what nobody can know, is not looked for again and again.
func TestDoubtfulIsLookedForOnce(t *testing.T) {
	doubtful := simPolicy{ref: 1, content: true, share: shares, verdict: flows.Inspect}
	elsewhere := simPolicy{ref: 2, port: 9, share: shares, verdict: flows.Inspect}
	g, entries, now := policed(t, 1, simPolicies{doubtful, elsewhere, mild(3)})
	looked := 0
	for range 60 {
		now = now.Add(time.Second)
		effects := g.Step(now, []Event{EntriesRead{At: now, Entries: entries}})
		for _, e := range effects {
			if _, ok := e.(Resolve); ok {
				looked++
			}
		}
		drive(g, now, effects, func(key flows.EntryKey) flows.Entry { return entries[key.ID] }, benchPaths)
	}
	if v := g.Explain(&entries[0]).View; looked > 1 || v.Reason != flows.PolicyInspect {
		t.Errorf("promise 7: looked for %d times in a minute, and it is %q", looked, v.Reason)
	}
}

// Looking for the ports of mice leaves most of the budget to others.
func TestGuessesAreFew(t *testing.T) {
	elephants := simPolicy{ref: 2, share: shares, verdict: flows.Offload, terms: flows.Terms{Bytes: 1e9, Rate: 1}}
	elsewhere := simPolicy{ref: 1, port: 9, share: shares, verdict: flows.Offload}
	cfg := DefaultConfig()
	cfg.Enforce, cfg.AwaitPolicies, cfg.InsertRate = true, true, 100
	g := newEngineWithPorts(cfg)
	entries := manyEntries(1000)
	looked, now := 0, flows.Instant(time.Second)
	events := []Event{PoliciesChanged{Policies: simPolicies{elsewhere, elephants}}}
	for range 10 {
		for _, e := range g.Step(now, append(events, EntriesRead{At: now, Entries: entries})) {
			if _, ok := e.(Resolve); ok {
				looked++
			}
		}
		events, now = nil, now.Add(time.Second)
	}
	if looked == 0 || looked > 150 {
		t.Errorf("promise 7: %d looked for in ten seconds, want a tenth of 1,000", looked)
	}
}
