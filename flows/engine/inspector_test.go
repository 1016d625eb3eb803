package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// wired is an engine with one connection on a wire with an inspector: its entries in zones 1
// and 2, of which the first sees packets of the original direction before the inspector.
type wired struct {
	t       *testing.T
	g       *Engine
	now     flows.Instant
	entries [2]flows.Entry
}

// newWired begins with a policy that offloads after ten packets each way, or elephants.
func newWired(t *testing.T, terms flows.Terms) *wired {
	cfg := DefaultConfig()
	cfg.Enforce, cfg.AwaitPolicies = true, true
	cfg.Mark.Offload = MaskedMark{4, 4}
	w := &wired{t: t, g: newEngineWithPorts(cfg), now: flows.Instant(time.Hour)}
	for i := range w.entries {
		w.entries[i] = established(uint32(i+1), 0)
		w.entries[i].Key.Zone = flows.Zone(i + 1)
	}
	p := simPolicy{ref: 1, share: shares, verdict: flows.Offload, terms: terms}
	w.g.Step(w.now, []Event{PoliciesChanged{Policies: simPolicies{p}}})
	return w
}

// pass lets packets of a direction be counted in zones 1 and 2.
func (w *wired) pass(d flows.Dir, before, behind uint64) {
	if d == flows.Reply {
		before, behind = behind, before
	}
	for i, n := range [2]uint64{before, behind} {
		w.entries[i].Count[d].Packets += n
		w.entries[i].Count[d].Bytes += 1000 * n
	}
}

// both lets packets of both directions pass.
func (w *wired) both(n uint64) {
	w.pass(flows.Orig, n, n)
	w.pass(flows.Reply, n, n)
}

// look reads entries after a second, in the order given; all if none is.
func (w *wired) look(order ...int) {
	w.now = w.now.Add(time.Second)
	if order == nil {
		order = []int{0, 1}
	}
	ev := EntriesRead{At: w.now}
	for _, i := range order {
		ev.Entries = append(ev.Entries, w.entries[i])
	}
	w.drive(w.g.Step(w.now, []Event{ev}))
}

func (w *wired) drive(effects []Effect) {
	stands := []flows.Stand{}
	for i := range w.entries {
		stands = append(stands, flows.Stand{Zone: w.entries[i].Key.Zone, Tuple: w.entries[i].Key.Tuple, Reply: w.entries[i].Reply})
	}
	for range 20 {
		var events []Event
		for _, e := range effects {
			switch e := e.(type) {
			case Resolve:
				events = append(events, PathResolved{Session: e.Session, Op: e.Op, Paths: benchPaths, Tuples: untranslated(e), Stands: stands, Inspected: true})
			case Relax:
				events = append(events, Relaxed{Session: e.Session, Op: e.Op})
			case Install:
				events = append(events, Installed{Session: e.Session, Op: e.Op, InHW: true})
			case Remove:
				events = append(events, Removed{Session: e.Session, Op: e.Op})
			case Read:
				events = append(events, SessionRead{Session: e.Session, Op: e.Op, At: w.now, Found: w.entries[:]})
			}
		}
		if len(events) == 0 {
			return
		}
		effects = w.g.Step(w.now, events)
	}
}

func (w *wired) offloaded() bool { return w.g.Used()[Offloaded] == 1 }

// reasons returns those of the entries.
func (w *wired) reasons() [2]flows.Reason {
	return [2]flows.Reason{w.g.Explain(&w.entries[0]).Reason, w.g.Explain(&w.entries[1]).Reason}
}

func (w *wired) want(reason flows.Reason) {
	w.t.Helper()
	if got := w.reasons(); w.offloaded() || got[0] != reason && got[1] != reason {
		w.t.Errorf("promise 1: %v, want %q; %v", got, reason, w.g.Used())
	}
}

// Packets count as inspected that were seen on both sides of the inspector, of each direction.
func TestInspectPacketsOnBothSides(t *testing.T) {
	for _, d := range []flows.Dir{flows.Orig, flows.Reply} {
		w := newWired(t, flows.Terms{InspectPackets: 10})
		w.both(9)
		w.pass(d.Opposite(), 5, 5)
		w.look()
		w.want(flows.Inspecting)
		w.pass(d, 5, 0)
		w.look()
		w.want(flows.Inspecting)
		w.pass(d, 1, 1)
		w.pass(d.Opposite(), 1, 1)
		w.look()
		if !w.offloaded() {
			t.Errorf("%s: %v", d, w.reasons())
		}
	}
}

// An elephant is one on both sides.
func TestElephantOnBothSides(t *testing.T) {
	w := newWired(t, flows.Terms{Bytes: 1 << 20, Rate: 1 << 20})
	w.both(20)
	w.look()
	for range 3 {
		w.pass(flows.Orig, 10_000, 20)
		w.pass(flows.Reply, 20, 20)
		w.look()
		w.want(flows.Mouse)
	}
	for range 5 {
		w.both(10_000)
		w.look()
	}
	if !w.offloaded() {
		t.Errorf("%v", w.reasons())
	}
}

// What the inspector blocks is not offloaded, however seldom its sender repeats it, and
// although its mark asks for it; until something comes out again.
func TestInspectorHolds(t *testing.T) {
	for _, d := range []flows.Dir{flows.Orig, flows.Reply} {
		for pause := range 3 {
			w := newWired(t, flows.Terms{InspectPackets: 1000})
			w.both(100)
			w.look()
			for range 2 {
				for range pause {
					w.look()
				}
				w.pass(d, 1, 0)
				w.look()
			}
			for i := range w.entries {
				w.entries[i].Mark = 4
			}
			for range 5 {
				w.look()
				w.want(flows.InspectorHolds)
			}
			w.both(3)
			w.look()
			w.look()
			w.look()
			if !w.offloaded() {
				t.Errorf("%s: after it passed again: %v", d, w.reasons())
			}
		}
	}
}

// A healthy connection is not held, whatever is read first, whatever is lost, and although it
// pauses.
func TestInspectorDoesNotHold(t *testing.T) {
	w := newWired(t, flows.Terms{InspectPackets: 1 << 30})
	w.both(100)
	w.look()
	for i := range w.entries { // as if its path had been found
		e := w.g.entries.get(w.entries[i].Key)
		e.beyond, e.atWire = w.entries[1-i].Key.Zone, w.now.Add(time.Hour)
	}
	for i := range 100 {
		late := uint64(i % 2)
		w.pass(flows.Orig, 10*late, 10*(1-late)) // read before a packet on one side, and after it on the other
		w.pass(flows.Reply, 3, 2)
		w.look([][]int{{0, 1}, {1, 0}}[i%2]...)
		if i%10 == 9 {
			for range 5 {
				w.look()
			}
			for range 3 { // the other entry is not read, or not told of
				w.both(5)
				w.look(0)
			}
		}
		for _, reason := range w.reasons() {
			if reason != flows.Inspecting {
				t.Fatalf("after %d: %q", i, reason)
			}
		}
	}
}

// What just went in and did not come out yet is waited for, so that what is blocked at this
// moment does not go in.
func TestOutstanding(t *testing.T) {
	w := newWired(t, flows.Terms{InspectPackets: 10})
	w.both(9)
	w.pass(flows.Orig, 5, 5)
	w.look()
	w.pass(flows.Reply, 1, 1)
	w.pass(flows.Orig, 1, 0)
	for range 3 {
		w.look()
		w.want(flows.Inspecting)
	}
	w.pass(flows.Orig, 1, 1)
	w.look()
	if !w.offloaded() {
		t.Errorf("%v", w.reasons())
	}
}

// So it is for what somebody asked for, although no policy says anything about it.
func TestOutstandingAsked(t *testing.T) {
	for _, order := range []bool{false, true} {
		for _, none := range []bool{false, true} {
			w := newWired(t, flows.Terms{InspectPackets: 10})
			if none {
				w.g.Step(w.now, []Event{PoliciesChanged{Policies: simPolicies{}}})
			}
			for _, n := range []uint64{4, 5} {
				w.both(n)
				w.look()
			}
			w.pass(flows.Reply, 1, 1)
			w.pass(flows.Orig, 1, 0)
			if order {
				w.now = w.now.Add(time.Second)
				w.drive(w.g.Step(w.now, []Event{Ordered{Kind: OrderOffload, At: w.now, Entries: w.entries[:]}}))
			} else {
				w.entries[0].Mark, w.entries[1].Mark = 4, 4
				w.look()
			}
			w.want(flows.Inspecting)
			w.look()
			w.want(flows.Inspecting)
			w.both(10)
			w.look()
			w.look()
			if !w.offloaded() {
				t.Errorf("order %t, no policy %t: %v", order, none, w.reasons())
			}
		}
	}
}

// A wire that is closed pulls its sessions back at once. They are inspected before they come
// back, and need no new connection for that.
func TestWireCloses(t *testing.T) {
	w := newWired(t, flows.Terms{InspectPackets: 10})
	w.both(9)
	w.look()
	w.both(1)
	w.look()
	if !w.offloaded() {
		t.Fatal(w.reasons())
	}
	ports := func(reason flows.Reason) PortsChanged {
		return PortsChanged{Ports: []PortState{{ID: 1, Reason: reason}, {ID: 2, Reason: reason}}}
	}
	effects := w.g.Step(w.now, []Event{ports(flows.InspectorDown)})
	if removals(effects, flows.InspectorDown) != 1 {
		t.Fatalf("it stays: %v", effects)
	}
	w.drive(effects)
	w.want(flows.InspectorDown)
	w.g.Step(w.now, []Event{ports("")})
	w.look()
	w.look()
	w.want(flows.Inspecting)
	w.both(10)
	w.look()
	if !w.offloaded() {
		t.Errorf("it does not come back: %v", w.reasons())
	}
}

// What is known of an inspector is asked again, since it may have been taken away.
func TestInspectorTakenAway(t *testing.T) {
	w := newWired(t, flows.Terms{InspectPackets: 10})
	for range 2 {
		w.pass(flows.Orig, 10, 2)
		w.pass(flows.Reply, 10, 10)
		w.look()
	}
	w.look()
	w.want(flows.Inspecting)
	asked := 0
	for range 70 {
		w.now = w.now.Add(time.Second)
		for _, e := range w.g.Step(w.now, []Event{EntriesRead{At: w.now, Entries: w.entries[:]}}) {
			if e, ok := e.(Resolve); ok {
				asked++
				w.drive([]Effect{e})
			}
		}
	}
	if asked == 0 || asked > 3 {
		t.Errorf("its path was asked for %d times in a minute", asked)
	}
}

// hold has the inspector block the connection, after a while in which it passed.
func (w *wired) hold() {
	for range 2 {
		w.pass(flows.Orig, 1, 0)
		w.look()
	}
	w.look()
}

// What is known to be held is not looked for, and is no candidate in mode observe either.
func TestHeldIsNoCandidate(t *testing.T) {
	w := newWired(t, flows.Terms{InspectPackets: 1000})
	w.both(100)
	w.g.Step(w.now, []Event{ModeChanged{Enforce: false}})
	w.look()
	w.hold()
	for i := range w.entries {
		w.entries[i].Mark = 4
	}
	w.look()
	if used := w.g.Used(); len(used) > 0 {
		t.Errorf("a candidate: %v", used)
	}
	for range 10 {
		w.now = w.now.Add(time.Second)
		for _, e := range w.g.Step(w.now, []Event{EntriesRead{At: w.now, Entries: w.entries[:]}}) {
			if _, ok := e.(Resolve); ok {
				t.Error("its path is asked for")
			}
		}
	}
}

// What the inspector blocks while the rules are prepared does not get any.
func TestHeldMeanwhile(t *testing.T) {
	w := newWired(t, flows.Terms{InspectPackets: 100})
	w.both(99)
	w.look()
	w.both(1)
	w.now = w.now.Add(time.Second)
	effects := w.g.Step(w.now, []Event{EntriesRead{At: w.now, Entries: w.entries[:]}})
	resolve, ok := effects[0].(Resolve)
	if !ok {
		t.Fatal(effects)
	}
	var stands []flows.Stand
	for i := range w.entries {
		stands = append(stands, flows.Stand{Zone: flows.Zone(i + 1), Tuple: w.entries[i].Key.Tuple, Reply: w.entries[i].Reply})
	}
	effects = w.g.Step(w.now, []Event{PathResolved{Session: resolve.Session, Op: resolve.Op, Paths: benchPaths, Tuples: untranslated(resolve), Stands: stands, Inspected: true}})
	relax, ok := effects[0].(Relax)
	if !ok {
		t.Fatal(effects)
	}
	w.hold()
	for _, e := range w.g.Step(w.now, []Event{Relaxed{Session: relax.Session, Op: relax.Op}}) {
		if _, ok := e.(Install); ok {
			t.Error("promise 1: it is installed")
		}
	}
	w.want(flows.InspectorHolds)
}

// What the inspector blocked before it was read is not taken for what it lets through, whoever
// asks for offload: nothing has come out since, or not what waits to be acknowledged.
func TestBlockedBeforeItWasRead(t *testing.T) {
	for _, unacked := range []bool{false, true} {
		w := newWired(t, flows.Terms{InspectPackets: 10})
		for i := range w.entries {
			w.entries[i].Mark = 4
		}
		w.both(20)
		w.pass(flows.Orig, 1, 0)
		if unacked { // what came last, and is read with what passed before it
			w.look()
			w.both(20)
			w.pass(flows.Orig, 1, 0)
			w.entries[0].TCP.Flags[flows.Orig] |= flows.TCPFlagUnacked
		}
		w.look()
		w.want(flows.Inspecting)
		w.look()
		w.want(flows.Inspecting)
		w.entries[1].TCP.Flags[flows.Orig] = w.entries[0].TCP.Flags[flows.Orig]
		w.both(20)
		w.look()
		w.look()
		if !w.offloaded() {
			t.Errorf("unacknowledged %t: %v", unacked, w.reasons())
		}
	}
}

// What is found to be held only when both sides are read, after the installation, leaves.
func TestHeldSinceRead(t *testing.T) {
	w := newWired(t, flows.Terms{InspectPackets: 100})
	for range 2 {
		w.both(9)
		w.look()
	}
	w.pass(flows.Orig, 1, 0)
	w.pass(flows.Reply, 1, 1)
	for i := range w.entries {
		w.entries[i].Mark = 4
	}
	w.look(0) // the other side was read before that
	w.want(flows.InspectorHolds)
}

// Which direction is silent is told who looks for the path: by what any zone counts.
func TestSilentDirections(t *testing.T) {
	w := newWired(t, flows.Terms{InspectPackets: 1 << 20})
	w.both(100)
	for i := range 8 {
		w.look()
		w.pass(flows.Orig, 0, 1)
		e := w.g.entries.get(w.entries[0].Key)
		if got, want := w.g.silent(e), [2]bool{false, i >= 5}; got != want {
			t.Errorf("promise 1: after %d s: silent %v, want %v", i, got, want)
		}
	}
}

// A stream that began while its wire was open is not taken for inspected when it grows on
// both sides later, whether the kernel tells when it began or not.
func TestBeganWhileOpen(t *testing.T) {
	for _, proto := range []flows.Proto{flows.UDP, flows.TCP} {
		for _, stamped := range []bool{false, true} {
			for _, late := range []time.Duration{0, apart, apart + time.Second} {
				w := newWired(t, flows.Terms{InspectPackets: 10})
				for i := range w.entries {
					e := &w.entries[i]
					e.Key.Tuple.Proto = proto
					if e.Reply = e.Key.Tuple.Reverse(); proto == flows.UDP {
						e.TCP = flows.TCPInfo{}
					}
				}
				w.both(1)
				if stamped {
					w.entries[0].Start, w.entries[1].Start = 1, 1+uint64(late)
				} else {
					for range late / time.Second {
						w.look(0)
					}
				}
				for range 5 {
					w.both(10)
					w.look()
				}
				if want := proto == flows.TCP || late <= apart; w.offloaded() != want {
					t.Errorf("promise 1: %s, stamped %t, %v later: %v", proto, stamped, late, w.reasons())
				}
			}
		}
	}
}
