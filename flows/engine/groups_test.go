package engine

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// groupsWith permits a share by each of the rules, at all ports and in both directions.
func groupsWith(rules ...flows.RuleRef) *groups {
	p := &groups{rules: map[groupKey]flows.RuleRef{}, outside: map[netip.Addr]bool{}, unknown: map[flows.LogicalPort]bool{}}
	for _, port := range []flows.LogicalPort{"lp1", "lp2"} {
		for d := range flows.Direction(2) {
			for i, rule := range rules {
				p.rules[groupKey{port, d, uint16(i)}] = rule
			}
		}
	}
	return p
}

// guarded returns an engine with n sessions between two logical ports, of one source whose
// rules 10, 11 and 12 permit a third each; and its entries.
func guarded(tb testing.TB, n int) (*Engine, []flows.Entry, flows.Instant) {
	tb.Helper()
	cfg := DefaultConfig()
	cfg.Enforce, cfg.InsertRate, cfg.Capacity, cfg.MaxFollow = true, 1e9, n, 2*n
	cfg.Mark = Mark{Offload: MaskedMark{4, 4}, Blocked: MaskedMark{1, 1}, Deny: true}
	cfg.PermissionSources = []string{"sb"}
	g := newEngineWithPorts(cfg)
	entries := manyEntries(n)
	for i := range entries {
		entries[i].Key.Tuple.SrcPort, entries[i].Key.Tuple.Dst = uint16(i), netip.MustParseAddr("192.0.2.1")
		entries[i].Reply = entries[i].Key.Tuple.Reverse()
		entries[i].Mark, entries[i].Key.Zone = 4, 7
	}
	now := flows.Instant(time.Second)
	effects := g.Step(now, []Event{
		PortsChanged{[]PortState{{ID: 1, Logical: "lp1", Zone: 8, HasZone: true}, {ID: 2, Logical: "lp2", Zone: 7, HasZone: true}}},
		PermissionsChanged{Permissions: groupsWith(10, 11, 12)},
		EntriesRead{At: now, Entries: entries},
	})
	drive(g, now, effects, func(key flows.EntryKey) flows.Entry { return entries[key.ID] }, benchPaths)
	if used := g.Used(); used[Offloaded] != n {
		tb.Fatalf("%v, want %d offloaded", used, n)
	}
	return g, entries, now
}

func removals(effects []Effect, cause flows.Reason) (n int) {
	for _, e := range effects {
		if e, ok := e.(Remove); ok && e.Cause == cause {
			n++
		}
	}
	return n
}

func TestRevokedByRule(t *testing.T) {
	g, entries, now := guarded(t, 6)
	effects := g.Step(now, []Event{PermissionsChanged{Permissions: groupsWith(10, 0, 12), Rules: []flows.RuleRef{11}}})
	if n := removals(effects, flows.SGDenied); n != 2 {
		t.Fatalf("%d sessions are removed, want those 2 that rule 11 permitted: %v", n, effects)
	}
	drive(g, now, effects, noEntry, benchPaths)
	x := g.Explain(&entries[1])
	if x.Reason != flows.SGDenied || !strings.Contains(x.View.Detail, "egress of lp1 by sb: no rule permits it; until now by rule 11") {
		t.Errorf("%q, %q", x.Reason, x.View.Detail)
	}
	// Given back, the old connection stays in the slow path.
	now = now.Add(time.Minute)
	effects = g.Step(now, []Event{PermissionsChanged{Permissions: groupsWith(10, 13, 12)}, EntriesRead{At: now, Entries: entries}})
	for _, e := range effects {
		if e, ok := e.(Resolve); ok {
			t.Errorf("%v is offloaded again", e.Entry)
		}
	}
	if x := g.Explain(&entries[1]); x.View.Reason != flows.SGDenied || !strings.Contains(x.View.Detail, "rule 11") {
		t.Errorf("the reason is %q, %q", x.View.Reason, x.View.Detail)
	}
}

func TestRevokedByAddress(t *testing.T) {
	g, entries, now := guarded(t, 6)
	p := groupsWith(10, 11, 12)
	p.outside[entries[4].Key.Tuple.Src] = true
	effects := g.Step(now, []Event{PermissionsChanged{Permissions: p, Addrs: []netip.Addr{entries[4].Key.Tuple.Src}}})
	if n := removals(effects, flows.SGDenied); n != 1 {
		t.Fatalf("%d sessions are removed, want 1: %v", n, effects)
	}
}

// Where ports get another name, that one's groups count.
func TestPortBecomesAnother(t *testing.T) {
	g, _, now := guarded(t, 3)
	effects := g.Step(now, []Event{PortsChanged{[]PortState{{ID: 1, Logical: "lp9"}, {ID: 2, Logical: "lp2"}}}})
	if n := removals(effects, flows.SGDenied); n != 3 {
		t.Fatalf("%d sessions are removed, want 3", n)
	}
}

func denials(effects []Effect) (list []DenyEntry) {
	for _, e := range effects {
		if e, ok := e.(Deny); ok {
			list = append(list, e.Entries...)
		}
	}
	return list
}

// The network service's bit is set when it enforces the change, in the zone of the port that
// revoked; and again when it was taken off.
func TestDeny(t *testing.T) {
	g, entries, now := guarded(t, 3)
	p := groupsWith(10, 11, 12)
	delete(p.rules, groupKey{"lp2", flows.Ingress, 1})
	effects := g.Step(now, []Event{PermissionsEnforced{Revision: 4}, PermissionsChanged{Permissions: p, Rules: []flows.RuleRef{11}, Revision: 5}})
	if removals(effects, flows.SGDenied) != 1 || len(denials(effects)) != 0 {
		t.Fatalf("before the slow path enforces the change: %v", effects)
	}
	drive(g, now, effects, noEntry, benchPaths)
	now = now.Add(20 * time.Millisecond)
	list := denials(g.Step(now, []Event{PermissionsEnforced{Revision: 5}}))
	if len(list) != 1 || list[0].Key != entries[1].Key {
		t.Fatalf("%v, want %v", list, entries[1].Key)
	}
	if list := denials(g.Step(now.Add(denyAfter/2), nil)); len(list) != 0 {
		t.Errorf("again at once: %v", list)
	}
	if list := denials(g.Step(now.Add(denyAfter), nil)); len(list) != 1 {
		t.Errorf("not again, although it is not there: %v", list)
	}
	now = now.Add(2 * denyAfter)
	entries[1].Mark |= 1
	if list := denials(g.Step(now, []Event{EntriesRead{At: now, Entries: entries[1:2]}})); len(list) != 0 || len(g.denials) != 0 {
		t.Errorf("again, although it is there: %v", list)
	}
}

// Without a word of the slow path it is done after a while.
func TestDenyUnasked(t *testing.T) {
	g, _, now := guarded(t, 3)
	effects := g.Step(now, []Event{PermissionsChanged{Permissions: groupsWith(), Rules: []flows.RuleRef{10, 11, 12}, Revision: 5, Label: true}})
	drive(g, now, effects, noEntry, benchPaths)
	for range denyTries {
		now = now.Add(denyAfter)
		if list := denials(g.Step(now, nil)); len(list) != 3 || !list[0].Label {
			t.Fatalf("%v, want 3 by label", list)
		}
	}
	if list := denials(g.Step(now.Add(denyAfter), nil)); len(list) != 0 || len(g.denials) != 0 {
		t.Errorf("it is tried for ever: %v", list)
	}
}

// What nobody stands on takes no room.
func TestStandingIsGivenBack(t *testing.T) {
	g, _, now := guarded(t, 30)
	if len(g.byAddr.heads) != 31 || len(g.byRule.heads) != 3 {
		t.Fatalf("%d addresses, %d rules", len(g.byAddr.heads), len(g.byRule.heads))
	}
	drive(g, now, g.Step(now, []Event{PermissionsChanged{Permissions: groupsWith(0, 11, 12), Rules: []flows.RuleRef{10}}}), noEntry, benchPaths)
	if len(g.byAddr.heads) != 21 || len(g.byRule.heads) != 2 {
		t.Errorf("%d addresses, %d rules", len(g.byAddr.heads), len(g.byRule.heads))
	}
	drive(g, now, g.Step(now, []Event{Stop{}}), noEntry, benchPaths)
	if len(g.byAddr.heads) != 0 || len(g.byRule.heads) != 0 {
		t.Errorf("%d addresses, %d rules at the end", len(g.byAddr.heads), len(g.byRule.heads))
	}
}

// TestRevocationCost: revoking a few of many costs as much as revoking them of a few.
func TestRevocationCost(t *testing.T) {
	if testing.Short() {
		t.Skip("needs 100,000 sessions: not with -short")
	}
	cost := func(n int) time.Duration {
		best := time.Duration(math.MaxInt64)
		for range 3 {
			g, entries, _ := guarded(t, n)
			p := groupsWith(10, 11, 12)
			ev := PermissionsChanged{Permissions: p}
			for _, e := range entries[:100] {
				p.outside[e.Key.Tuple.Src] = true
				ev.Addrs = append(ev.Addrs, e.Key.Tuple.Src)
			}
			began := time.Now()
			g.permissionsChanged(&ev)
			best = min(best, time.Since(began))
			if n := removals(g.effects, flows.SGDenied); n != 100 {
				t.Fatalf("%d sessions are removed, want 100", n)
			}
		}
		return best
	}
	few, many := cost(1_000), cost(100_000)
	t.Logf("100 of 1,000 sessions: %v, of 100,000: %v", few, many)
	if many > 8*few+2*time.Millisecond {
		t.Errorf("100 of 1,000 sessions took %v, of 100,000 %v", few, many)
	}
}
