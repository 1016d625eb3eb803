package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// restarted returns an engine that has just seen ports 1 to 4 and some entries.
func restarted(enforce bool, entries ...flows.Entry) (*Engine, flows.Instant) {
	cfg := DefaultConfig()
	cfg.Enforce, cfg.Mark.Blocked = enforce, MaskedMark{1, 1}
	g := New(cfg)
	now := flows.Instant(time.Second)
	g.Step(now, []Event{
		PortsChanged{Ports: []PortState{{ID: 1}, {ID: 2}, {ID: 3}, {ID: 4}, {ID: 5, Reason: flows.PortQoS}}},
		EntriesRead{At: now, Entries: entries}, DumpDone{Began: now, Complete: true},
	})
	return g, now
}

func found(id flows.SessionID, a, b flows.PortID) FoundSession {
	t := established(0, 0).Key.Tuple
	return FoundSession{
		ID: id, Tuples: [2]flows.Tuple{t, t.Reverse()}, InHW: true,
		Paths: flows.Paths{{In: a, Out: b}, {In: b, Out: a}},
		Count: [2]flows.Counters{{Packets: 100, Bytes: 1e9}, {Packets: 50, Bytes: 5e8}},
	}
}

// standsIn returns where that connection stands in some zones.
func standsIn(zones ...flows.Zone) (list []flows.Stand) {
	for _, zone := range zones {
		list = append(list, plainAt(zone, established(0, 0).Key.Tuple))
	}
	return list
}

func inZoneOf(id uint32, zone flows.Zone) flows.Entry {
	e := established(id, 10)
	e.Key.Zone = zone
	return e
}

// Two tenants use the same tuple; each session gets the entries in the zones that its
// own path goes through, and nothing is ordered of the eswitch.
func TestAdoption(t *testing.T) {
	entries := []flows.Entry{inZoneOf(1, 10), inZoneOf(2, 20), inZoneOf(3, 21)}
	g, now := restarted(true, entries...)
	effects := g.Step(now, []Event{RulesFound{[]FoundSession{found(7, 1, 2), found(9, 3, 4)}}})
	if len(effects) != 2 {
		t.Fatalf("effects %+v, want two Validates", effects)
	}
	var events []Event
	for i, zones := range [][]flows.Zone{{10}, {20, 21}} {
		v := effects[i].(Validate)
		if len(v.States) != 3 {
			t.Errorf("states %+v", v.States)
		}
		events = append(events, Validated{Session: v.Session, Op: v.Op, Stands: standsIn(zones...), Plain: true})
	}
	effects = g.Step(now, events)
	for _, e := range effects {
		switch e.(type) {
		case Read, Relax:
		default:
			t.Errorf("effect %T %+v", e, e)
		}
	}
	drive(g, now, effects, func(key flows.EntryKey) flows.Entry { return entries[key.ID-1] }, benchPaths)
	g.Step(now, []Event{Counted{Sessions: []flows.SessionCounters{{ID: 7, Count: found(7, 1, 2).Count, InHW: true}}}})
	views := g.Sessions()
	if len(views) != 2 || views[0].State != Offloaded || views[1].State != Offloaded || len(g.claims) != 0 {
		t.Fatalf("%+v", views)
	}
	slices.Sort(views[1].Zones)
	if !slices.Equal(views[0].Zones, []flows.Zone{10}) || !slices.Equal(views[1].Zones, []flows.Zone{20, 21}) {
		t.Errorf("zones %v, %v", views[0].Zones, views[1].Zones)
	}
	if c := g.Counts(); c.Adopted != 2 || c.Offloaded.Packets != 0 || views[0].Rate != 0 || !views[0].InHW {
		t.Errorf("counts %+v, rate %v", c, views[0].Rate)
	}
	if g.nextID <= 9 {
		t.Errorf("the next session will be %v", g.nextID)
	}
}

// What cannot be adopted is removed, with the reason, and nothing else happens to it.
func TestNotAdopted(t *testing.T) {
	closing, denied := inZoneOf(1, 10), inZoneOf(1, 10)
	closing.TCP.State, denied.Mark = flows.TCPLastAck, 1
	turned := inZoneOf(1, 10)
	turned.Key.Tuple, turned.Reply = turned.Reply, turned.Key.Tuple
	tests := []struct {
		name    string
		enforce bool
		entry   flows.Entry
		found   []FoundSession
		stop    bool
		want    []flows.Reason // of the Removes, in order
	}{
		{"closing", true, closing, []FoundSession{found(7, 1, 2)}, false, []flows.Reason{flows.Closing}},
		{"denied", true, denied, []FoundSession{found(7, 1, 2)}, false, []flows.Reason{flows.Blocked}},
		{"turned around", true, turned, []FoundSession{found(7, 1, 2)}, false, []flows.Reason{flows.Gone}},
		{"unknown port", true, inZoneOf(1, 10), []FoundSession{found(7, 1, 0)}, false, []flows.Reason{flows.PortGone}},
		{"refused port", true, inZoneOf(1, 10), []FoundSession{found(7, 5, 1)}, false, []flows.Reason{flows.PortQoS}},
		{"twice", true, inZoneOf(1, 10), []FoundSession{found(7, 1, 2), found(8, 1, 2)}, false, []flows.Reason{flows.PathAmbiguous}},
		{"same id", true, inZoneOf(1, 10), []FoundSession{found(7, 1, 2), found(7, 3, 4)}, false, []flows.Reason{flows.PathAmbiguous}},
		{"observe", false, inZoneOf(1, 10), []FoundSession{found(7, 1, 2)}, false, []flows.Reason{flows.ModeSwitched}},
		{"stopping", true, inZoneOf(1, 10), []FoundSession{found(7, 1, 2)}, true, []flows.Reason{flows.Stopping}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g, now := restarted(test.enforce, test.entry)
			events := []Event{RulesFound{test.found}}
			if test.stop {
				events = append([]Event{Stop{}}, events...)
			}
			var causes []flows.Reason
			effects := g.Step(now, events)
			for _, e := range effects {
				if e, ok := e.(Remove); ok {
					causes = append(causes, e.Cause)
				}
			}
			if !slices.Equal(causes, test.want) {
				t.Fatalf("removed for %v, want %v; effects %+v", causes, test.want, effects)
			}
			asked := drive(g, now, effects, noEntry, benchPaths)
			drive(g, now, g.Step(now, answer(asked, Validated{Reason: flows.PathChanged})), noEntry, benchPaths)
			if len(g.Sessions())+len(g.claims)+g.validating != 0 {
				t.Errorf("left: %+v, claims %v, %d asked", g.Sessions(), g.claims, g.validating)
			}
		})
	}
}

// What comes back at once, since its eswitch was reset, waits for policies if none were told.
func TestBackBeforePolicies(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Enforce, cfg.AwaitPolicies, cfg.InsertRate = true, true, 1e9
	g, now := newEngineWithPorts(cfg), flows.Instant(time.Second)
	e := inZoneOf(1, 10)
	g.Step(now, []Event{EntriesRead{At: now, Entries: []flows.Entry{e}}, DumpDone{Began: now, Complete: true}})
	effects := g.Step(now, []Event{RulesFound{[]FoundSession{found(7, 1, 2)}}})
	v := effects[0].(Validate)
	effects = g.Step(now, []Event{Validated{Session: v.Session, Op: v.Op, Stands: standsIn(10), Plain: true}})
	drive(g, now, effects, func(flows.EntryKey) flows.Entry { return e }, benchPaths)
	offloadedAll(t, g, 1)
	drive(g, now, g.Step(now, []Event{EswitchReset{}}), func(flows.EntryKey) flows.Entry { return e }, benchPaths)
	g.Step(now.Add(time.Second), nil)
	if r := reasonOf(g, e); r != flows.PolicyUnknown || len(g.list) > 0 {
		t.Errorf("promise 1: %q, %v", r, g.Used())
	}
}

// Entries that may belong to rules that are being adopted get no session of their own;
// when the rules are gone, they may.
func TestClaims(t *testing.T) {
	asked := inZoneOf(1, 10)
	asked.Mark = 4
	cfg := DefaultConfig()
	cfg.Enforce, cfg.Mark.Offload = true, MaskedMark{4, 4}
	g := newEngineWithPorts(cfg)
	now := flows.Instant(time.Second)
	if effects := g.Step(now, []Event{EntriesRead{At: now, Entries: []flows.Entry{asked}}}); len(effects) != 1 {
		t.Fatalf("effects %+v, want a Resolve", effects)
	}
	validates := g.Step(now, []Event{RulesFound{[]FoundSession{found(7, 1, 2)}}})
	for range 200 {
		now = now.Add(20 * time.Millisecond)
		if effects := g.Step(now, []Event{EntriesRead{At: now, Entries: []flows.Entry{asked}}}); len(effects) != 0 {
			t.Fatalf("effects %+v", effects)
		}
	}
	if v := g.Followed(); len(v) != 1 || v[0].Session != 7 || v[0].State != Adopting {
		t.Errorf("%+v", v)
	}
	v := validates[0].(Validate)
	remove := g.Step(now, []Event{Validated{Session: 7, Op: v.Op, Reason: flows.PathChanged}})[0].(Remove)
	effects := g.Step(now, []Event{Removed{Session: 7, Op: remove.Op}})
	if _, ok := effects[len(effects)-1].(Resolve); !ok {
		t.Errorf("effects %+v, want a Resolve at last", effects)
	}
}

// Rules that nobody confirms leave.
func TestAdoptionBound(t *testing.T) {
	g, now := restarted(true, inZoneOf(1, 10))
	g.Step(now, []Event{RulesFound{[]FoundSession{found(7, 1, 2)}}})
	const bound = adoptWithin + adoptEach // for one
	if effects := g.Step(now.Add(bound-1), nil); len(effects) != 0 {
		t.Fatalf("effects %+v before the bound", effects)
	}
	if effects := g.Step(now.Add(bound), nil); len(effects) != 1 || effects[0].(Remove).Cause != flows.PathDoubted {
		t.Errorf("effects %+v, want a removal", effects)
	}
}

// hangsOnDSCP reports whether policies need to know the code point of a session's packets:
// who adopts it has not seen any.
func (w *world) hangsOnDSCP(s *session) bool {
	if w.engine.policies == nil {
		return false
	}
	subject := s.subject()
	subject.DSCP = 0
	return w.engine.policies.Decide(&subject).Doubt != 0
}

// looksPickedUp reports whether who has not seen the handshake takes a connection for one of
// mid-stream: its windows are relaxed, and it has no window scaling.
func (h *hardware) looksPickedUp(w *world) bool {
	return slices.ContainsFunc(h.keys, func(key flows.EntryKey) bool {
		k := w.entries[key]
		if k == nil {
			return false
		}
		rec := k.report(w.now)
		return isMidstream(nil, &rec)
	})
}

// A restart of a quiet world leaves every rule where it is.
func TestQuietRestart(t *testing.T) {
	total, adopted := 0, 0
	for seed := range uint64(10) {
		w := newWorld(seed, simulationConfig(), false, false)
		for range 2000 {
			w.step()
		}
		w.quiet = true
		for range 500 { // until all that has happened was heard of
			w.step()
		}
		w.crash()
		w.startAt = w.now
		before := make(map[flows.SessionID]flows.Instant)
		for id, h := range w.rules {
			if s := w.engine.sessions[id]; s.state == Offloaded && s.doubt.first.since == 0 && !h.stillBad(w) && !w.hasTwin(h) && !s.asked() && !w.hangsOnDSCP(s) && !h.looksPickedUp(w) { // of a twin that was reopened a successor knows less, and which of the entries was marked
				before[id] = h.since
			}
		}
		w.start()
		w.quiet = true
		total += len(before)
		for range 50 {
			w.step()
			if w.seen.check(w); len(w.seen.broken) > 0 {
				t.Fatal(w.seen.broken)
			}
		}
		for id, since := range before {
			if h := w.rules[id]; h == nil || h.since != since {
				t.Errorf("seed %d: the rules of session %v did not stay: %+v", seed, id, w.engine.Counts().Removals)
			}
		}
		adopted += int(w.engine.Counts().Adopted)
	}
	if adopted < total*3/4 { // the answers to some take longer
		t.Errorf("%d of %d sessions were adopted", adopted, total)
	}
	if total < 10 {
		t.Errorf("only %d sessions to adopt", total)
	}
}
