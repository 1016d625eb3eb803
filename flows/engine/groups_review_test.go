package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// adoptedOnTrust returns an engine with one session that was taken over before its source
// said anything.
func adoptedOnTrust(t *testing.T) (*Engine, flows.Instant) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Enforce, cfg.PermissionSources, cfg.Mark.Blocked = true, []string{"sb"}, MaskedMark{1, 1}
	g := New(cfg)
	now := flows.Instant(time.Second)
	e := inZoneOf(1, 10)
	g.Step(now, []Event{
		PortsChanged{Ports: []PortState{{ID: 1, Logical: "lp1"}, {ID: 2, Logical: "lp2"}}},
		EntriesRead{At: now, Entries: []flows.Entry{e}}, DumpDone{Began: now, Complete: true},
	})
	var events []Event
	for _, x := range g.Step(now, []Event{RulesFound{[]FoundSession{found(7, 1, 2)}}}) {
		if v, ok := x.(Validate); ok {
			events = append(events, Validated{Session: v.Session, Op: v.Op, Stands: standsIn(10), Plain: true})
		}
	}
	drive(g, now, g.Step(now, events), func(flows.EntryKey) flows.Entry { return e }, benchPaths)
	if g.Used()[Offloaded] != 1 {
		t.Fatalf("%v: not adopted within the grace", g.Used())
	}
	return g, now.Add(2 * time.Second)
}

// The first that a source tells names nothing, since a compiler that knew nothing before has
// no differences to tell; all that stands on trust is judged by it.
func TestFirstWordOfASource(t *testing.T) {
	g, now := adoptedOnTrust(t)
	effects := g.Step(now, []Event{PermissionsChanged{Permissions: groupsWith()}})
	if removals(effects, flows.SGDenied) != 1 {
		t.Errorf("the session stays although its groups deny it: %v, %v", effects, g.Used())
	}
}

// ... and filed under the rules that permit it.
func TestFirstWordFiles(t *testing.T) {
	g, now := adoptedOnTrust(t)
	g.Step(now, []Event{PermissionsChanged{Permissions: groupsWith(10, 11, 12)}})
	effects := g.Step(now, []Event{PermissionsChanged{Permissions: groupsWith(), Rules: []flows.RuleRef{10, 11, 12}}})
	if removals(effects, flows.SGDenied) != 1 {
		t.Errorf("its rule is gone, and the session stays: %v", g.Used())
	}
}

// A mode that changes nothing changes nothing in conntrack.
func TestObserveDeniesNothing(t *testing.T) {
	g, entries, now := guarded(t, 3)
	drive(g, now, g.Step(now, []Event{ModeChanged{Enforce: false}}), noEntry, benchPaths)
	for range 100 {
		now = now.Add(50 * time.Millisecond)
		drive(g, now, g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}), noEntry, benchPaths)
	}
	if g.Used()[Observed] != 3 {
		t.Fatalf("%v", g.Used())
	}
	g.Step(now, []Event{PermissionsChanged{Permissions: groupsWith(), Rules: []flows.RuleRef{10, 11, 12}, Revision: 1}})
	list := denials(g.Step(now, []Event{PermissionsEnforced{Revision: 1}}))
	if len(list) != 0 {
		t.Errorf("mode observe writes to conntrack: %v", list)
	}
	if x := g.Explain(&entries[0]); g.entries.get(entries[0].Key).denied {
		t.Errorf("final for a connection that was never offloaded: %v", x.Reason)
	}
}

// A removal that takes long is denied once.
func TestDeniedOnce(t *testing.T) {
	g, _, now := guarded(t, 3)
	for range 100 {
		g.Step(now, []Event{PermissionsChanged{Permissions: groupsWith(), Rules: []flows.RuleRef{10, 11, 12}, Revision: 9}})
	}
	if len(g.denials) > 3 {
		t.Errorf("%d denials of 3 entries", len(g.denials))
	}
}

// OVS hears of the change, too, and may be noticed first. That makes it no less a denial.
func TestDeniedAfterPathDropped(t *testing.T) {
	g, entries, now := guarded(t, 3)
	asked := drive(g, now, g.Step(now, []Event{PathsDoubted{}}), noEntry, benchPaths)
	drive(g, now, g.Step(now, answer(asked, Validated{Reason: flows.PathDropped})), noEntry, benchPaths)
	if len(g.Sessions()) != 0 {
		t.Fatalf("%v", g.Used())
	}
	now = now.Add(10 * time.Millisecond)
	g.Step(now, []Event{PermissionsChanged{Permissions: groupsWith(10, 0, 12), Rules: []flows.RuleRef{11}, Revision: 1}})
	if list := denials(g.Step(now, []Event{PermissionsEnforced{Revision: 1}})); len(list) != 1 {
		t.Errorf("%v, want 1: replies go on", list)
	}
	if !g.entries.get(entries[1].Key).denied {
		t.Error("no tombstone: it is offloaded again as soon as the rule is back")
	}
}

// The counting of states begins anew with a database that was wiped.
func TestEnforcedByAnotherDatabase(t *testing.T) {
	g, _, now := guarded(t, 3)
	g.Step(now, []Event{PermissionsEnforced{Revision: 5000}})
	effects := g.Step(now, []Event{PermissionsEnforced{Revision: 2}, PermissionsChanged{Permissions: groupsWith(), Rules: []flows.RuleRef{10, 11, 12}, Revision: 3}})
	if list := denials(effects); len(list) != 0 {
		t.Errorf("before the slow path enforces the change: %v", list)
	}
}
