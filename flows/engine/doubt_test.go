package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

var benchPaths = flows.Paths{
	{In: 1, Out: 2, Frame: flows.Frame{SrcMAC: flows.MAC{2, 1}, DstMAC: flows.MAC{2, 2}}},
	{In: 2, Out: 1, Frame: flows.Frame{SrcMAC: flows.MAC{2, 2}, DstMAC: flows.MAC{2, 1}}},
}

// drive answers every effect at once, as well as can be, until nothing is left to do
// but what is passed over; it returns the Validates.
func drive(g *Engine, now flows.Instant, effects []Effect, entry func(flows.EntryKey) flows.Entry, paths flows.Paths) (asked []Validate) {
	for len(effects) > 0 {
		var events []Event
		for _, e := range effects {
			switch e := e.(type) {
			case Resolve:
				events = append(events, PathResolved{Session: e.Session, Op: e.Op, Paths: paths, Tuples: untranslated(e), Plain: true})
			case Relax:
				events = append(events, Relaxed{Session: e.Session, Op: e.Op})
			case Install:
				events = append(events, Installed{Session: e.Session, Op: e.Op})
			case Remove:
				events = append(events, Removed{Session: e.Session, Op: e.Op})
			case Validate:
				asked = append(asked, e)
			case Read:
				found := SessionRead{Session: e.Session, Op: e.Op, At: now}
				for _, key := range e.Entries {
					found.Found = append(found.Found, entry(key))
				}
				events = append(events, found)
			}
		}
		if len(events) == 0 {
			return asked
		}
		effects = g.Step(now, events)
	}
	return asked
}

// offloadMany returns an engine with n offloaded sessions, and the time that is there.
func offloadMany(tb testing.TB, n int) (*Engine, flows.Instant) {
	tb.Helper()
	cfg := DefaultConfig()
	cfg.Enforce, cfg.InsertRate, cfg.Mark.Offload = true, 1e9, MaskedMark{4, 4}
	g := newEngineWithPorts(cfg)
	entries := manyEntries(n)
	for i := range entries {
		entries[i].Mark = 4
	}
	now := flows.Instant(time.Second)
	drive(g, now, g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}),
		func(key flows.EntryKey) flows.Entry { return entries[key.ID] }, benchPaths)
	if used := g.Used(); used[Offloaded] != n {
		tb.Fatalf("%v, want %d offloaded", used, n)
	}
	return g, now
}

func answer(asked []Validate, answer Validated) (events []Event) {
	for _, v := range asked {
		answer.Session, answer.Op = v.Session, v.Op
		events = append(events, answer)
	}
	return events
}

func noEntry(flows.EntryKey) flows.Entry { return flows.Entry{} }

// Doubts that come while a Validate is on its way need another one after it, and the
// bound counts from the first that is not answered.
func TestDoubtAfterTheQuestion(t *testing.T) {
	g, now := offloadMany(t, 1)
	at := func(d time.Duration) flows.Instant { return now.Add(d) }
	step := func(d time.Duration, events ...Event) []Validate {
		return drive(g, at(d), g.Step(at(d), events), noEntry, benchPaths)
	}
	first := step(0, PathsDoubted{})
	if len(first) != 1 || len(first[0].States) != 1 || first[0].States[0].Mark != 4 || first[0].Paths != benchPaths {
		t.Fatalf("asked %+v", first)
	}
	if again := step(500*time.Millisecond, PathsDoubted{}); len(again) != 0 {
		t.Fatalf("asked twice at once: %+v", again)
	}
	second := step(900*time.Millisecond, answer(first, Validated{Plain: true})...)
	if len(second) != 1 || second[0].Op == first[0].Op || g.Sessions()[0].Doubted != at(500*time.Millisecond) {
		t.Fatalf("asked %+v, doubted since %v", second, g.Sessions()[0].Doubted)
	}
	step(1400*time.Millisecond, answer(first, Validated{})...) // an old answer
	if g.Counts().Removals[flows.PathDoubted] != 0 {
		t.Fatal("left before the bound")
	}
	step(1500 * time.Millisecond)
	if g.Counts().Removals[flows.PathDoubted] != 1 || len(g.Sessions()) != 0 || g.validating != 0 {
		t.Errorf("removals %v, sessions %v, %d on their way", g.Counts().Removals, g.Sessions(), g.validating)
	}
}

// What is found to be otherwise is pulled back, but not denied.
func TestRefuted(t *testing.T) {
	g, now := offloadMany(t, 2)
	asked := drive(g, now, g.Step(now, []Event{PathsDoubted{Ports: []flows.PortID{2}}}), noEntry, benchPaths)
	if len(asked) != 2 {
		t.Fatalf("asked %d times, want 2", len(asked))
	}
	events := append(answer(asked[:1], Validated{Reason: flows.PathDropped, Detail: "table 5"}), answer(asked[1:], Validated{})...)
	drive(g, now, g.Step(now, events), noEntry, benchPaths)
	if c := g.Counts(); c.Refuted != 1 || c.Validated != 1 || c.Removals[flows.PathDropped] != 1 || c.Followed[flows.PathDropped] != 1 {
		t.Errorf("counts %+v", c)
	}
	for _, v := range g.Followed() {
		if v.Reason == flows.PathDropped && (v.Verdict != flows.Offload || v.Detail != "table 5") {
			t.Errorf("%+v", v)
		}
	}
}

// Nothing is installed over a path that was doubted before it was known.
func TestDoubtWhileResolving(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Enforce, cfg.Mark.Offload = true, MaskedMark{4, 4}
	g := newEngineWithPorts(cfg)
	e := manyEntries(1)
	e[0].Mark, e[0].Key.Tuple.Proto = 4, flows.UDP
	e[0].Reply = e[0].Key.Tuple.Reverse()
	now := flows.Instant(time.Second)
	r := g.Step(now, []Event{EntriesRead{At: now, Entries: e}})[0].(Resolve)
	g.Step(now, []Event{PathsDoubted{Ports: []flows.PortID{99}, Matches: []flows.PacketMatch{{In: 99}}}})
	effects := g.Step(now, []Event{PathResolved{Session: r.Session, Op: r.Op, Paths: benchPaths, Tuples: untranslated(r), Plain: true}})
	if len(effects) != 1 {
		t.Fatalf("effects %+v, want a Validate alone", effects)
	}
	effects = g.Step(now, answer([]Validate{effects[0].(Validate)}, Validated{Plain: true}))
	if _, ok := effects[0].(Install); len(effects) != 1 || !ok {
		t.Errorf("effects %+v, want an Install", effects)
	}
}

// The bound on Validates holds, the most valuable go first, and all get their turn.
func TestManyDoubts(t *testing.T) {
	const n = 3 * maxValidating
	g, now := offloadMany(t, n)
	for id, s := range g.sessions {
		s.rate = float64(id)
	}
	asked := g.Step(now, []Event{PathsDoubted{}})
	total := 0
	for next := flows.SessionID(n); len(asked) > 0; {
		if len(asked) > maxValidating {
			t.Fatalf("%d on their way", len(asked))
		}
		var events []Event
		for _, e := range asked {
			v := e.(Validate)
			if v.Session != next {
				t.Fatalf("session %v, want %v", v.Session, next)
			}
			next--
			events = append(events, answer([]Validate{v}, Validated{Plain: true})...)
		}
		total += len(asked)
		asked = g.Step(now, events)
	}
	if total != n || g.Counts().Validated != n {
		t.Errorf("%d asked, counts %+v", total, g.Counts())
	}
}

// A station that OVS is about to forget gets one session led through OVS, and no other
// while that is on its way.
func TestMACAgeing(t *testing.T) {
	g, now := offloadMany(t, 3)
	for id, s := range g.sessions {
		s.rate, s.slowAt = float64(10-id), [2]flows.Instant{}
	}
	ev := MACAgeing{Port: 1, MAC: benchPaths[0].SrcMAC}
	if effects := g.Step(now, []Event{MACAgeing{Port: 1, MAC: flows.MAC{2, 9}}, MACAgeing{Port: 3, MAC: ev.MAC}}); len(effects) != 0 {
		t.Fatalf("for somebody else: %+v", effects)
	}
	effects := g.Step(now, []Event{ev, ev})
	if len(effects) != 1 || effects[0].(Remove).Session != 3 || effects[0].(Remove).Cause != flows.MACAgeing {
		t.Fatalf("effects %+v, want session 3 removed", effects)
	}
	g.sessions[1].slowAt[flows.Orig] = now
	drive(g, now, effects, noEntry, benchPaths)
	if effects := g.Step(now, []Event{ev}); len(effects) != 0 {
		t.Errorf("although a packet was just seen: %+v", effects)
	}
}

// A router that OVS is about to forget gets one session led through OVS whose packets leave
// with its MAC, in either direction.
func TestMACAgeingOfRouters(t *testing.T) {
	for d := range benchPaths {
		g, now := offloadMany(t, 3)
		router := flows.MAC{2, 9}
		for id, s := range g.sessions {
			s.rate, s.slowAt = float64(10-id), [2]flows.Instant{}
			out := s.paths[d].Frame
			out.SrcMAC = router
			s.paths[d].Change = flows.ChangeTo(s.paths[d].Frame, out, 1, flows.Tuple{})
		}
		other := MACAgeing{Port: benchPaths[d].In, MAC: router}
		if effects := g.Step(now, []Event{other}); len(effects) != 0 {
			t.Fatalf("for one on the near side: %+v", effects)
		}
		ev := MACAgeing{Port: benchPaths[d].Out, MAC: router}
		effects := g.Step(now, []Event{ev, ev})
		if len(effects) != 1 || effects[0].(Remove).Session != 3 || effects[0].(Remove).Cause != flows.MACAgeing {
			t.Fatalf("promise 7: effects %+v, want session 3 removed", effects)
		}
		g.sessions[1].slowAt[d] = now
		drive(g, now, effects, noEntry, benchPaths)
		if effects := g.Step(now, []Event{ev}); len(effects) != 0 {
			t.Errorf("although a packet was just seen: %+v", effects)
		}
	}
}

func BenchmarkDoubt(b *testing.B) {
	const n = 10_000
	narrow := PathsDoubted{Ports: []flows.PortID{1, 2}, Matches: []flows.PacketMatch{{
		Proto: flows.TCP, Dst: netip.MustParsePrefix("192.0.2.1/32"), DstPort: 80, DstPortMask: 0xffff,
	}}}
	b.Run("none", func(b *testing.B) {
		g, _ := offloadMany(b, n)
		for _, s := range g.sessions {
			s.plain = true
		}
		for b.Loop() {
			g.pathsDoubted(narrow)
		}
		if g.counts.Doubts != 0 {
			b.Fatal("concerned somebody")
		}
	})
	b.Run("all", func(b *testing.B) {
		g, now := offloadMany(b, n)
		for b.Loop() {
			effects := g.Step(now, []Event{PathsDoubted{}})
			for len(effects) > 0 {
				events := make([]Event, len(effects))
				for i, e := range effects {
					v := e.(Validate)
					events[i] = Validated{Session: v.Session, Op: v.Op, Plain: true}
				}
				effects = g.Step(now, events)
			}
		}
		if g.counts.Validated != uint64(n*b.N) {
			b.Fatalf("%d validated, want %d", g.counts.Validated, n*b.N)
		}
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "sessions/s")
	})
}
