package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// commanded returns an engine with some sessions, and what lets it go on as if everything
// worked.
func commanded(t *testing.T, n int, policies simPolicies, mark Mark) (*Engine, []flows.Entry, func(time.Duration, ...Event) []Effect) {
	t.Helper()
	g, entries, now := policed(t, n, policies)
	g.cfg.Mark = mark
	return g, entries, func(d time.Duration, events ...Event) []Effect {
		now = now.Add(d)
		effects := g.Step(now, append(events, EntriesRead{At: now, Entries: entries}))
		var marked []Event
		for _, e := range effects {
			if e, ok := e.(Remember); ok {
				for _, key := range e.Entries {
					entries[key.ID].Mark &^= mark.Never.Mask
					if e.Never {
						entries[key.ID].Mark |= mark.Never.Value
					}
					marked = append(marked, EntriesRead{At: now, Entries: []flows.Entry{entries[key.ID]}})
				}
			}
		}
		drive(g, now, effects, func(key flows.EntryKey) flows.Entry { return entries[key.ID] }, benchPaths)
		drive(g, now, g.Step(now, marked), func(key flows.EntryKey) flows.Entry { return entries[key.ID] }, benchPaths)
		return effects
	}
}

// inspectedAgain lets the slow path see enough of each connection.
func inspectedAgain(entries []flows.Entry) {
	for i := range entries {
		for d := range entries[i].Count {
			entries[i].Count[d].Packets += 20
		}
	}
}

func reasonOf(g *Engine, e flows.Entry) flows.Reason { return g.Explain(&e).View.Reason }

var neverMark = Mark{Never: MaskedMark{8, 8}}

// An order to inspect brings a connection back at once and keeps it, until another order.
func TestOrderInspect(t *testing.T) {
	g, entries, step := commanded(t, 3, simPolicies{mild(1)}, Mark{})
	offloadedAll(t, g, 3)
	if n := removals(step(0, Ordered{Kind: OrderInspect, Keys: []flows.EntryKey{entries[1].Key}}), flows.OrderInspect); n != 1 {
		t.Fatalf("promise 9: %d sessions are removed at once, want 1", n)
	}
	for range 5 {
		inspectedAgain(entries)
		step(time.Minute)
		offloadedAll(t, g, 2)
	}
	if st := g.OrderState(OrderInspect, entries[1].Key); st.Outcome != OrderDone || st.Busy || st.Remembered {
		t.Errorf("%+v", st)
	}
	x := g.Explain(&entries[1])
	if x.Reason != flows.OrderInspect || !hasCheck(x, OrderCheck, "inspect, since 5m0s, until it ends; another agent would not know") {
		t.Errorf("explained by %q, %+v", x.Reason, x.Checks)
	}
	step(time.Second, Ordered{Kind: OrderOffload, Keys: []flows.EntryKey{entries[1].Key}})
	offloadedAll(t, g, 3)
	if st := g.OrderState(OrderOffload, entries[1].Key); st.Outcome != OrderDone || st.Reason != flows.OrderOffload {
		t.Errorf("%+v", st)
	}
}

func hasCheck(x Explanation, name, detail string) bool {
	for _, c := range x.Checks {
		if c.Name == name && strings.Contains(c.Detail, detail) {
			return true
		}
	}
	return false
}

// One with a time ends by itself, and what comes back is inspected first.
func TestOrderInspectForAWhile(t *testing.T) {
	g, entries, step := commanded(t, 1, simPolicies{mild(1)}, neverMark)
	step(0, Ordered{Kind: OrderInspect, For: time.Minute, Keys: []flows.EntryKey{entries[0].Key}})
	if entries[0].Mark != 8 || !g.OrderState(OrderInspect, entries[0].Key).Remembered {
		t.Errorf("mark %#x", entries[0].Mark)
	}
	step(59 * time.Second)
	if r := reasonOf(g, entries[0]); r != flows.OrderInspect {
		t.Errorf("held back by %q", r)
	}
	step(2 * time.Second)
	if r := reasonOf(g, entries[0]); r != flows.Inspecting || entries[0].Mark != 0 {
		t.Errorf("promise 1: after that %q, mark %#x", r, entries[0].Mark)
	}
	inspectedAgain(entries)
	step(time.Second)
	offloadedAll(t, g, 1)
	if len(g.orders) != 0 {
		t.Errorf("%+v is left", g.orders)
	}
}

// Its mark is taken off as often as it is put on: until it is seen to be off, and not for ever.
func TestOrderIsWiped(t *testing.T) {
	for _, fails := range []int{0, 1, rememberTries - 1, rememberTries} {
		g, entries, _ := commanded(t, 1, simPolicies{mild(1)}, neverMark)
		tries := 0
		step := func(d time.Duration, events ...Event) {
			now := g.now.Add(d)
			for _, e := range g.Step(now, append(events, EntriesRead{At: now, Entries: entries})) {
				e, ok := e.(Remember)
				switch {
				case !ok:
				case e.Never:
					entries[0].Mark = 8
				default:
					if tries++; tries > fails {
						entries[0].Mark = 0
					}
				}
			}
		}
		step(0, Ordered{Kind: OrderInspect, For: time.Minute, Keys: []flows.EntryKey{entries[0].Key}})
		step(time.Minute)
		for range 20 {
			step(500 * time.Millisecond)
		}
		if off := entries[0].Mark == 0; off != (fails < rememberTries) || len(g.orders) != 0 || tries != min(fails+1, rememberTries) {
			t.Errorf("promise 9: if %d attempts fail: mark %#x after %d attempts, %d orders", fails, entries[0].Mark, tries, len(g.orders))
		}
	}
}

// A revocation is final.
func TestOrderRevoke(t *testing.T) {
	g, entries, step := commanded(t, 2, simPolicies{mild(1)}, neverMark)
	effects := step(0, Ordered{Kind: OrderRevoke, Keys: []flows.EntryKey{entries[0].Key}})
	if removals(effects, flows.OrderRevoke) != 1 {
		t.Fatalf("promise 3: %v", effects)
	}
	for _, kind := range []OrderKind{OrderOffload, OrderInspect, OrderOffload} {
		inspectedAgain(entries)
		step(time.Minute, Ordered{Kind: kind, Unmark: true, Keys: []flows.EntryKey{entries[0].Key}})
		offloadedAll(t, g, 1)
	}
	if st := g.OrderState(OrderOffload, entries[0].Key); st.Outcome != OrderRefused || st.Reason != flows.OrderRevoke {
		t.Errorf("%+v", st)
	}
	if entries[0].Mark != 8 {
		t.Errorf("promise 9: mark %#x", entries[0].Mark)
	}
	turned := entries[0] // what is left of it, picked up from the other side
	turned.Key.ID, turned.Key.Tuple, turned.Reply = 77, entries[0].Reply, entries[0].Key.Tuple
	turned.Mark, turned.TCP.Flags = 0, [2]uint8{0x2a, 0x2a}
	g.Step(g.now.Add(time.Second), []Event{EntriesGone{[]flows.EntryKey{entries[0].Key}}, EntriesRead{At: g.now.Add(time.Second), Entries: []flows.Entry{turned}}})
	if e := g.entries.get(turned.Key); !g.tombstones.covers(e, g.now) {
		t.Error("promise 3: there is no tombstone")
	}
	if len(g.orders) != 0 {
		t.Errorf("%d orders about connections that are gone", len(g.orders))
	}
}

// An order to offload is a wish: what speaks against it is said.
func TestOrderOffload(t *testing.T) {
	huge := flows.Terms{Bytes: 1e12, InspectPackets: 10}
	for _, tt := range []struct {
		name    string
		policy  simPolicy
		spoil   func(*flows.Entry)
		outcome OrderOutcome
		reason  flows.Reason
	}{
		{"a mouse", simPolicy{ref: 1, share: shares, verdict: flows.Offload, terms: huge}, nil, OrderDone, flows.OrderOffload},
		{"no policy", simPolicy{ref: 1, share: 1, verdict: flows.Offload}, nil, OrderDone, flows.OrderOffload},
		{"inspected", simPolicy{ref: 1, share: shares, verdict: flows.Inspect}, nil, OrderWaits, flows.PolicyInspect},
		{"inspected at its port", simPolicy{ref: 1, share: shares, port: 2, verdict: flows.Inspect}, nil, OrderWaits, flows.PolicyInspect},
		{"dropped", simPolicy{ref: 1, share: shares, verdict: flows.Drop}, nil, OrderRefused, flows.PolicyDrop},
		{"uninspected", simPolicy{ref: 1, share: shares, verdict: flows.Offload, terms: flows.Terms{InspectPackets: 1000}}, nil, OrderWaits, flows.Inspecting},
		{"closing", mild(1), func(e *flows.Entry) { e.TCP.State = flows.TCPFinWait }, OrderRefused, flows.Closing},
		{"half open", mild(1), func(e *flows.Entry) { e.Status &^= flows.StatusAssured }, OrderWaits, flows.NotAssured},
		{"marked", mild(1), func(e *flows.Entry) { e.Mark = 8 }, OrderWaits, flows.MarkNever},
		{"blocked", mild(1), func(e *flows.Entry) { e.Mark = 1 }, OrderRefused, flows.Blocked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Mark{Never: MaskedMark{8, 8}, Blocked: MaskedMark{1, 1}}
			g, entries, step := commanded(t, 1, simPolicies{{ref: 9, share: shares, verdict: flows.Inspect}}, cfg)
			if tt.spoil != nil {
				tt.spoil(&entries[0])
			}
			step(0, PoliciesChanged{Policies: simPolicies{tt.policy}})
			foreseen := g.Foresee(OrderOffload, false, &entries[0])
			if g.Used()[Offloaded] == 0 {
				if foreseen.Outcome != tt.outcome && tt.name != "inspected at its port" || foreseen.Reason != tt.reason && tt.reason != flows.Closing && tt.name != "inspected at its port" {
					t.Errorf("foreseen %+v", foreseen)
				}
			}
			step(time.Second, Ordered{Kind: OrderOffload, Entries: entries})
			st := g.OrderState(OrderOffload, entries[0].Key)
			if st.Outcome != tt.outcome || st.Reason != tt.reason {
				t.Errorf("promise 1: %+v, want %v %q", st, tt.outcome, tt.reason)
			}
			if n := g.Used()[Offloaded]; n > 0 && tt.outcome != OrderDone {
				t.Errorf("promise 1: %d sessions", n)
			}
		})
	}
}

// Where no policy matches, an order to offload has as many packets inspected first as a policy
// that does not say how many.
func TestOrderWithoutPolicy(t *testing.T) {
	g, entries, step := commanded(t, 1, simPolicies{{ref: 9, share: shares, verdict: flows.Inspect}}, Mark{})
	g.entries.get(entries[0].Key).inspectAgain()
	step(0, PoliciesChanged{Policies: simPolicies{{ref: 1, share: 1, verdict: flows.Offload}}})
	for i, want := range []flows.Reason{flows.Inspecting, flows.Inspecting, flows.OrderOffload} {
		step(time.Second, Ordered{Kind: OrderOffload, Keys: []flows.EntryKey{entries[0].Key}})
		if st := g.OrderState(OrderOffload, entries[0].Key); st.Reason != want || g.Used()[Offloaded] == 1 != (want == flows.OrderOffload) {
			t.Errorf("promise 1: after %v packets more %+v, want %q", entries[0].Count, st, want)
		}
		if i < 2 {
			entries[0].Count[i].Packets += 10 // of one direction, then of the other
		}
	}
}

// A mark that is not this engine's is taken off by explicit wish alone.
func TestOrderUnmarks(t *testing.T) {
	for _, unmark := range []bool{false, true} {
		g, entries, step := commanded(t, 1, simPolicies{{ref: 9, share: shares, verdict: flows.Inspect}}, neverMark)
		entries[0].Mark = 8
		step(0, PoliciesChanged{Policies: simPolicies{mild(1)}})
		step(0, Ordered{Kind: OrderOffload, Unmark: unmark, Entries: entries})
		step(time.Second)
		if unmark { // and should it come again, it stays
			step(time.Second)
			entries[0].Mark = 8
			step(time.Second)
			if g.Used()[Offloaded] != 0 || entries[0].Mark != 8 {
				t.Errorf("promise 1: somebody else's mark is %#x", entries[0].Mark)
			}
			continue
		}
		if n := g.Used()[Offloaded] == 1; n != unmark || (entries[0].Mark == 0) != unmark {
			t.Errorf("unmark %v: offloaded %v, mark %#x", unmark, n, entries[0].Mark)
		}
	}
}

// An order to inspect that names one zone counts for a connection that stands in others as
// well, also where that one has picked it up in mid-stream.
func TestOrderAboutOneZone(t *testing.T) {
	for _, flags := range [][2]uint8{{0x23, 0x23}, {pickedUp, pickedUp}} {
		g, now := askingEngine(), flows.Instant(time.Second)
		entries := entriesAt(hairpin()...)
		for i := range entries[1:] {
			entries[i+1].Mark &^= 4
		}
		entries[3].TCP.Flags = flags
		read := EntriesRead{At: now, Entries: entries}
		effects := g.Step(now, []Event{Ordered{Kind: OrderInspect, At: now, Entries: entries[3:]}, read})
		for range 3 {
			live(g, now, effects, entries)
			now = now.Add(time.Minute)
			read.At = now
			effects = g.Step(now, []Event{read})
		}
		live(g, now, effects, entries)
		if v := g.Explain(&entries[0]).View; v.Reason != flows.OrderInspect || len(g.list) > 0 {
			t.Errorf("promise 9: flags %#x: %q, %v", flags, v.Reason, g.Used())
		}
		effects = g.Step(now.Add(time.Minute), []Event{Ordered{Kind: OrderOffload, Keys: []flows.EntryKey{entries[3].Key}}, EntriesRead{At: now.Add(time.Minute), Entries: entries}})
		if live(g, now.Add(time.Minute), effects, entries); g.Used()[Offloaded] != 1 {
			t.Errorf("promise 9: flags %#x: given free, %v", flags, g.Used())
		}
	}
}

// One dump that does not show an entry, as can be while the kernel resizes its table, takes no
// order and no denial back. Two in a row do, and one that comes after it would have expired.
func TestOrdersOutliveADump(t *testing.T) {
	for _, kind := range []OrderKind{OrderInspect, OrderRevoke} {
		for _, tt := range []struct {
			timeout uint32
			dumps   []bool // whether they show it
			left    bool
		}{
			{600, []bool{false}, true},
			{600, []bool{false, true, false}, true},
			{600, []bool{false, false}, false},
			{1, []bool{false}, false},
		} {
			g, entries, step := commanded(t, 1, simPolicies{mild(1)}, Mark{})
			entries[0].Timeout = tt.timeout
			step(0, Ordered{Kind: kind, Keys: []flows.EntryKey{entries[0].Key}})
			step(time.Second)
			for _, shown := range tt.dumps {
				now := g.now.Add(10 * time.Second)
				events := []Event{EntriesRead{At: now, Entries: entries}, DumpDone{Began: now, Complete: true}}
				if !shown {
					events = events[1:]
				}
				g.Step(now, events)
			}
			if e := g.entries.get(entries[0].Key); (e != nil && g.orderOf(e).kind == kind) != tt.left {
				t.Errorf("promise 9: order %d, %d s, %v: %v", kind, tt.timeout, tt.dumps, e)
			}
		}
	}
}

// Whoever sets the counters to zero takes no order back where the kernel says when it made the
// entry, and the slow path goes on being counted.
func TestOrdersOutliveZeroing(t *testing.T) {
	g, entries, step := commanded(t, 1, simPolicies{mild(1)}, Mark{})
	key := entries[0].Key
	g.entries.get(key).start, entries[0].Start = 77, 77
	for i := range 2 {
		step(0, Ordered{Kind: OrderInspect, Keys: []flows.EntryKey{key}})
		inspectedAgain(entries)
		step(time.Second)
		before := g.entries.get(key).packets
		entries[0].Count = [2]flows.Counters{{Packets: 3, Bytes: 300}, {Packets: 4, Bytes: 400}}
		step(time.Second)
		e := g.entries.get(key)
		if g.orderOf(e).kind != OrderInspect || e.packets != [2]uint64{before[0] + 3, before[1] + 4} {
			t.Errorf("promise 9: %d. time: %+v, %v packets after %v", i+1, g.orderOf(e), e.packets, before)
		}
	}
	entries[0].Start = 78
	step(time.Second)
	if e := g.entries.get(key); g.orderOf(e).kind != 0 || e.zeroed != nil {
		t.Error("promise 9: another connection has its order")
	}
}

// Orders in short succession: what was written last is seen after the order was given that
// wants the contrary.
func TestOrdersInARow(t *testing.T) {
	for _, tt := range []struct {
		name  string
		kinds []OrderKind
		mark  uint32
	}{
		{"revoke while the mark is taken off", []OrderKind{OrderInspect, OrderOffload, OrderRevoke}, 8},
		{"inspect while the mark is taken off", []OrderKind{OrderInspect, OrderOffload, OrderInspect}, 8},
		{"offload while the mark is set", []OrderKind{OrderInspect, OrderOffload}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, entries, _ := commanded(t, 1, simPolicies{mild(1)}, neverMark)
			now := g.now
			var late []Remember
			read := func() Event { return EntriesRead{At: now, Entries: entries} }
			tell := func(events ...Event) {
				now = now.Add(10 * time.Millisecond)
				for _, e := range g.Step(now, events) {
					if e, ok := e.(Remember); ok {
						late = append(late, e)
					}
				}
			}
			write := func() { // one of them
				if len(late) == 0 {
					return
				}
				if entries[0].Mark = 0; late[0].Never {
					entries[0].Mark = 8
				}
				late = late[1:]
			}
			for i, kind := range tt.kinds {
				if i == len(tt.kinds)-1 && i > 1 { // each is seen but for the last
					write()
					tell(read())
				}
				tell(Ordered{Kind: kind, Keys: []flows.EntryKey{entries[0].Key}})
			}
			for range 5 {
				tell(read())
				write()
				now = now.Add(2 * time.Second)
			}
			if entries[0].Mark != tt.mark {
				t.Errorf("promise 9: mark %#x, want %#x", entries[0].Mark, tt.mark)
			}
		})
	}
}

// Of an order about what is not followed yet, the engine learns by the order itself; an
// unknown key changes nothing.
func TestOrderAboutTheUnknown(t *testing.T) {
	g, _, step := commanded(t, 2, simPolicies{mild(1)}, Mark{})
	other := established(9, 100)
	other.Key.Zone = 77
	step(0, Ordered{Kind: OrderInspect, At: g.now, Entries: []flows.Entry{other}, Keys: []flows.EntryKey{{ID: 1234}}})
	if st := g.OrderState(OrderInspect, other.Key); st.Outcome != OrderDone || st.Reason != flows.OrderInspect {
		t.Errorf("promise 9: %+v", st)
	}
	if st := g.OrderState(OrderInspect, flows.EntryKey{ID: 1234}); st.Outcome != OrderRefused || st.Reason != flows.Gone {
		t.Errorf("%+v", st)
	}
}

// A mark of several bits, or bits of others, is not written.
func TestRemembers(t *testing.T) {
	for _, tt := range []struct {
		mark Mark
		want bool
	}{
		{Mark{}, false},
		{Mark{Never: MaskedMark{0, 8}}, false},
		{Mark{Never: MaskedMark{8, 8}}, true},
		{Mark{Never: MaskedMark{8, 9}, Blocked: MaskedMark{1, 1}}, false},
		{Mark{Never: MaskedMark{8, 12}, Offload: MaskedMark{4, 12}}, false},
	} {
		if got := tt.mark.Remembers(); got != tt.want {
			t.Errorf("%+v: %v", tt.mark, got)
		}
	}
}
