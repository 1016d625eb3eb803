package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// seenWith answers a Resolve, and all that follows, with packets of a code point.
func seenWith(t *testing.T, g *Engine, now flows.Instant, effects []Effect, entries []flows.Entry, d flows.DSCP) (resolved int) {
	t.Helper()
	for _, e := range effects {
		r, ok := e.(Resolve)
		if !ok {
			continue
		}
		resolved++
		next := g.Step(now, []Event{PathResolved{Session: r.Session, Op: r.Op, Paths: benchPaths, Tuples: untranslated(r), Plain: true, DSCP: d}})
		drive(g, now, next, func(key flows.EntryKey) flows.Entry { return entries[key.ID] }, benchPaths)
	}
	return resolved
}

// A policy for a code point is worth a look at the packets, and decides when that is known.
func TestPolicyOfDSCP(t *testing.T) {
	const ef = 46 + 1
	marked := simPolicy{ref: 1, share: shares, dscp: ef, verdict: flows.Offload}
	for _, tt := range []struct {
		name   string
		list   simPolicies
		dscp   flows.DSCP
		reason flows.Reason
		looks  int
	}{
		{"it is the one", simPolicies{marked}, ef, flows.PolicyOffload, 1},
		{"it is another one", simPolicies{marked}, 1, flows.PolicyNone, 1},
		{"it was not seen", simPolicies{marked}, 0, flows.PolicyNone, 1},
		{"it is to be inspected", simPolicies{{ref: 2, share: shares, dscp: ef, verdict: flows.Inspect}, mild(1)}, ef, flows.PolicyInspect, 1},
		{"it may be to be inspected", simPolicies{{ref: 2, share: shares, dscp: ef, verdict: flows.Inspect}, mild(1)}, 0, flows.PolicyInspect, 1},
		{"what is to be inspected is another one", simPolicies{{ref: 2, share: shares, dscp: ef, verdict: flows.Inspect}, mild(1)}, 1, flows.PolicyOffload, 1},
		{"it is dropped", simPolicies{{ref: 2, share: shares, dscp: ef, verdict: flows.Drop}, mild(1)}, ef, flows.PolicyDrop, 1},
		{"nothing would be offloaded", simPolicies{{ref: 2, share: shares, dscp: ef, verdict: flows.Inspect}}, ef, flows.PolicyNone, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Enforce, cfg.AwaitPolicies, cfg.InsertRate = true, true, 1e9
			g := newEngineWithPorts(cfg)
			entries := manyEntries(1)
			entries[0].Count = [2]flows.Counters{{Packets: 50, Bytes: 50_000}, {Packets: 50, Bytes: 50_000}}
			now := flows.Instant(time.Second)
			effects := g.Step(now, []Event{PoliciesChanged{Policies: tt.list}, EntriesRead{At: now, Entries: entries}})
			if n := seenWith(t, g, now, effects, entries, tt.dscp); n != tt.looks {
				t.Fatalf("promise 1: looked for %d times, want %d", n, tt.looks)
			}
			// what was seen is remembered while the path is
			now = now.Add(time.Second)
			seenWith(t, g, now, g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}), entries, tt.dscp)
			x := g.Explain(&entries[0])
			if v := x.View; v.Reason != tt.reason && tt.looks > 0 {
				t.Errorf("promise 1: it is %q (%s), want %q", v.Reason, v.Detail, tt.reason)
			}
			for _, c := range x.Checks {
				if says := strings.Contains(c.Detail, fmt.Sprintf("DSCP %d", tt.dscp-1)); c.Name == PolicyCheck && says != (tt.dscp > 0 && tt.looks > 0) {
					t.Errorf("promise 8: policies are explained by %q", c.Detail)
				}
			}
		})
	}
}

// What was decided by a code point is decided anew when a look shows another one.
func TestDSCPChanges(t *testing.T) {
	g, entries, now := policed(t, 1, simPolicies{{ref: 1, share: shares, verdict: flows.Offload}})
	offloadedAll(t, g, 1)
	marked := simPolicies{{ref: 2, share: shares, dscp: 47, verdict: flows.Offload}}
	g.list[0].see(47)
	g.Step(now, []Event{PoliciesChanged{Policies: marked}})
	offloadedAll(t, g, 1)
	drive(g, now, g.Step(now, []Event{RulesVanished{[]flows.SessionID{g.list[0].id}}}), noEntry, benchPaths)
	looks := 0
	for range 4 {
		now = now.Add(4 * time.Second)
		looks += seenWith(t, g, now, g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}), entries, 1)
	}
	if v := g.Explain(&entries[0]).View; looks != 1 || v.Reason != flows.PolicyNone {
		t.Errorf("promise 1: looked for %d times, and it is %q", looks, v.Reason)
	}
}
