package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

func tuple(s string) flows.Tuple {
	t, err := flows.ParseTuple(s)
	if err != nil {
		panic(err)
	}
	return t
}

var (
	sent     = tuple("tcp,10.0.0.1:40000,10.0.0.2:5201")         // as the sender sends
	passed   = tuple("tcp,192.0.2.1:50000,10.0.0.2:5201")        // behind its router
	received = tuple("tcp,192.0.2.1:50000,198.51.100.9:80")      // behind the receiver's
	strange  = tuple("tcp,[2001:db8::1]:50000,[2001:db8::2]:80") // nobody's
)

// hairpin is a connection that is translated twice in one zone.
func hairpin() []flows.Stand {
	return []flows.Stand{
		plainAt(100, sent),
		{Zone: 500, Tuple: sent, Reply: passed.Reverse()},
		{Zone: 500, Tuple: passed, Reply: received.Reverse()},
		plainAt(101, received),
	}
}

// pickedUp are the flags of both sides of a connection that conntrack met in mid-stream.
const pickedUp = flows.TCPFlagSACKPerm | flows.TCPFlagBeLiberal

// A session keeps the entry that was picked up when it is read again.
func TestPickedUpStays(t *testing.T) {
	g, now := askingEngine(), flows.Instant(time.Second)
	entries := entriesAt(hairpin()...)
	for i := range entries[1:] {
		entries[i+1].Mark &^= 4
	}
	entries[3].TCP.Flags = [2]uint8{pickedUp, pickedUp}
	live(g, now, g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}), entries)
	for range 3 {
		now = now.Add(time.Second)
		live(g, now, g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}), entries)
	}
	if views := g.Sessions(); len(views) != 1 || views[0].State != Offloaded {
		t.Errorf("%+v", views)
	}
}

// entriesAt returns established entries, asked for by their mark.
func entriesAt(stands ...flows.Stand) (list []flows.Entry) {
	for i, at := range stands {
		e := established(uint32(i+1), 10)
		e.Key.Zone, e.Key.Tuple, e.Reply, e.Mark = at.Zone, at.Tuple, at.Reply, 4
		e.Status |= statusOf(at)
		list = append(list, e)
	}
	return list
}

// translatedPaths lead from port 1 to port 2.
func translatedPaths(from, to flows.Tuple) flows.Paths {
	p := benchPaths
	p[0].Change = flows.ChangeTo(p[0].Frame, p[0].Frame, 1, to)
	p[1].Change = flows.ChangeTo(p[1].Frame, p[1].Frame, 1, from.Reverse())
	return p
}

func arrive(from, to flows.Tuple) [2]flows.Tuple { return [2]flows.Tuple{from, to.Reverse()} }

func askingEngine() *Engine {
	cfg := DefaultConfig()
	cfg.Enforce, cfg.InsertRate = true, 1e9
	cfg.Mark = Mark{Offload: MaskedMark{4, 4}, Blocked: MaskedMark{1, 1}}
	return newEngineWithPorts(cfg)
}

// live carries out what is ordered for the connection of hairpin.
func live(g *Engine, now flows.Instant, effects []Effect, entries []flows.Entry) {
	for len(effects) > 0 {
		var events []Event
		for _, e := range effects {
			switch e := e.(type) {
			case Resolve:
				events = append(events, PathResolved{Session: e.Session, Op: e.Op, Plain: true,
					Paths: translatedPaths(sent, received), Tuples: arrive(sent, received), Stands: hairpin()})
			case Relax:
				events = append(events, Relaxed{Session: e.Session, Op: e.Op})
			case Install:
				events = append(events, Installed{Session: e.Session, Op: e.Op})
			case Read:
				events = append(events, SessionRead{Session: e.Session, Op: e.Op, At: now, Found: entries})
			}
		}
		effects = g.Step(now, events)
	}
}

// A connection with many names is one session, whichever of its entries comes first, and
// all entries are told to who finds the path.
func TestOneSession(t *testing.T) {
	for seed := range uint64(24) {
		g, now := askingEngine(), flows.Instant(time.Second)
		entries := entriesAt(hairpin()...)
		shuffled := slices.Clone(entries)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(entries), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		effects := g.Step(now, []Event{EntriesRead{At: now, Entries: shuffled}})
		if len(effects) != 1 {
			t.Fatalf("promise 7: %d effects, want one Resolve: %v", len(effects), effects)
		}
		r := effects[0].(Resolve)
		for _, at := range hairpin() {
			if !slices.ContainsFunc(r.States, func(s flows.ZoneState) bool { return s.Stand() == at }) {
				t.Errorf("promise 1: %v is not told for %v", at, r.Entry)
			}
		}
		if len(r.States) != 4 || r.Reply != (&entry{nat: &translation{reply: r.Reply}}).reply() {
			t.Errorf("states %v", r.States)
		}
		live(g, now, effects, entries)
		views := g.Sessions()
		if len(views) != 1 || views[0].State != Offloaded || len(views[0].Zones) != 4 || views[0].Tuples != arrive(sent, received) {
			t.Fatalf("promise 1: %+v", views)
		}
		for _, name := range []flows.Tuple{sent, passed.Reverse(), received, received.Reverse()} {
			g.Step(now, []Event{SessionRead{Session: views[0].Session, At: now}})
			effects := g.Step(now, []Event{Hint{name}})
			if len(effects) != 1 || len(effects[0].(Read).Entries) != 4 {
				t.Errorf("promise 2: a FIN of %v: %v", name, effects)
			}
		}
	}
}

func TestLead(t *testing.T) {
	back := flows.Stand{Zone: 502, Tuple: received, Reply: sent.Reverse()}
	second := flows.Stand{Zone: 503, Tuple: sent, Reply: received.Reverse()}
	turned := plainAt(100, sent.Reverse())
	tests := []struct {
		name     string
		stands   []flows.Stand
		from, to flows.Tuple
		want     bool
	}{
		{"all", hairpin(), sent, received, true},
		{"in any order", []flows.Stand{hairpin()[3], hairpin()[2], hairpin()[1], hairpin()[0]}, sent, received, true},
		{"there and back", append(hairpin(), back), sent, sent, true},
		{"untranslated", hairpin()[:1], sent, sent, true},
		{"two translate the same", append(hairpin(), second), sent, received, false},
		{"one is not met", append(hairpin()[:2:2], hairpin()[3]), sent, passed, false},
		{"one is turned", append(hairpin(), turned), sent, received, false},
		{"the path translates nothing", hairpin(), sent, sent, false},
		{"the entries translate nothing", hairpin()[:1], sent, received, false},
		{"they translate otherwise", hairpin()[:2], sent, received, false},
		{"from the wrong side", hairpin(), received.Reverse(), sent.Reverse(), false},
	}
	for _, test := range tests {
		var list []*entry
		for _, rec := range entriesAt(test.stands...) {
			e := &entry{key: rec.Key}
			if rec.HasNAT() {
				e.nat = &translation{reply: rec.Reply}
			}
			list = append(list, e)
		}
		if got := lead(list, test.from, test.to); got != test.want {
			t.Errorf("promise 1: %s: %v", test.name, got)
		}
	}
}

// What an answer says of the way must be so, exactly.
func TestStands(t *testing.T) {
	swap := func(i int, at flows.Stand) []flows.Stand {
		list := hairpin()
		list[i] = at
		return list
	}
	tests := []struct {
		name   string
		change func(*PathResolved)
		also   func(list []flows.Entry) []flows.Entry
		want   flows.Reason // empty: it is used
	}{
		{name: "so it is", change: func(*PathResolved) {}},
		{"untranslated", func(ev *PathResolved) { ev.Paths, ev.Tuples = benchPaths, arrive(sent, sent) }, nil, flows.ZoneUnknown},
		{"one direction is translated", func(ev *PathResolved) { ev.Paths[1].Change = flows.Ref[flows.Change]{} }, nil, flows.PathUnknown},
		{"no tuples", func(ev *PathResolved) { ev.Tuples = [2]flows.Tuple{} }, nil, flows.PathUnknown},
		{"no zones", func(ev *PathResolved) { ev.Stands = nil }, nil, flows.ZoneUnknown},
		{"one is missing", func(ev *PathResolved) { ev.Stands = ev.Stands[:3] }, nil, ""}, // nobody says that zone 101 is passed
		{"one that translates is missing", func(ev *PathResolved) { ev.Stands = append(ev.Stands[:2], ev.Stands[3]) }, nil, flows.ZoneUnknown},
		{"one does not exist", func(ev *PathResolved) { ev.Stands = append(ev.Stands, plainAt(7, sent)) }, nil, flows.ZoneUnknown},
		{"another reply", func(ev *PathResolved) {
			ev.Stands = swap(2, flows.Stand{Zone: 500, Tuple: passed, Reply: strange})
		}, nil, flows.ZoneUnknown},
		{"a neighbour in the same zone", func(ev *PathResolved) {
			ev.Stands = append(ev.Stands, plainAt(100, tuple("tcp,10.0.0.7:40000,10.0.0.2:5201")))
		}, func(list []flows.Entry) []flows.Entry {
			return append(list, entriesAt(plainAt(100, tuple("tcp,10.0.0.7:40000,10.0.0.2:5201")))...)
		}, flows.ZoneUnknown},
		{"one is closing", func(*PathResolved) {}, func(list []flows.Entry) []flows.Entry {
			list[3].TCP.State = flows.TCPFinWait
			return list
		}, flows.ZoneUnknown},
		{"one is denied", func(*PathResolved) {}, func(list []flows.Entry) []flows.Entry {
			list[2].Mark |= 1
			return list
		}, flows.Blocked},
		{"one adjusts sequence numbers", func(*PathResolved) {}, func(list []flows.Entry) []flows.Entry {
			list[2].Status |= flows.StatusSeqAdjust
			return list
		}, flows.SeqAdjusted},
		// behind a machine that was moved here: the others know who opened it
		{"one was picked up", func(*PathResolved) {}, func(list []flows.Entry) []flows.Entry {
			list[3].TCP.Flags = [2]uint8{pickedUp, pickedUp}
			return list
		}, ""},
		{"one was picked up, and is denied", func(*PathResolved) {}, func(list []flows.Entry) []flows.Entry {
			list[3].TCP.Flags, list[3].Mark = [2]uint8{pickedUp, pickedUp}, 1
			return list
		}, flows.Blocked},
		{"one clashed", func(*PathResolved) {}, func(list []flows.Entry) []flows.Entry {
			list[1].Status |= flows.StatusNATClash
			return list
		}, flows.Invalid},
		{"one says that it does not translate", func(*PathResolved) {}, func(list []flows.Entry) []flows.Entry {
			list[1].Status &^= flows.StatusSrcNAT
			return list
		}, flows.Invalid},
		{"one says more than it translates", func(*PathResolved) {}, func(list []flows.Entry) []flows.Entry {
			list[1].Status |= flows.StatusDstNAT
			return list
		}, flows.Invalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g, now := askingEngine(), flows.Instant(time.Second)
			entries := entriesAt(hairpin()...)
			if test.also != nil {
				entries = test.also(entries)
			}
			for i := range entries[1:] { // so that the first one is judged
				entries[i+1].Mark &^= 4
			}
			effects := g.Step(now, []Event{EntriesRead{At: now, Entries: entries}})
			r := effects[0].(Resolve)
			ev := PathResolved{Session: r.Session, Op: r.Op, Paths: translatedPaths(sent, received), Tuples: arrive(sent, received), Stands: hairpin()}
			test.change(&ev)
			g.Step(now, []Event{ev})
			x := g.Explain(&entries[0])
			if test.want == "" && x.View.State != Relaxing || test.want != "" && (x.View.Session != 0 || x.View.Reason != test.want) {
				t.Errorf("promise 1: %v, %v (%v), want %q", x.View.State, x.View.Reason, x.View.Detail, test.want)
			}
		})
	}
}

func TestTranslationOfAnEntry(t *testing.T) {
	cfg := DefaultConfig()
	tests := []struct {
		name string
		at   flows.Stand
		want flows.Reason
	}{
		{"none", plainAt(1, sent), ""},
		{"source", flows.Stand{Tuple: sent, Reply: passed.Reverse()}, ""},
		{"destination", flows.Stand{Tuple: passed, Reply: received.Reverse()}, ""},
		{"both", flows.Stand{Tuple: sent, Reply: received.Reverse()}, ""},
		{"IPv6", flows.Stand{Tuple: strange, Reply: tuple("tcp,[2001:db8::2]:80,[2001:db8::7]:1")}, ""},
		{"of another family", flows.Stand{Tuple: sent, Reply: strange}, flows.Invalid},
		{"of another protocol", flows.Stand{Tuple: sent, Reply: tuple("udp,10.0.0.2:5201,10.0.0.1:40000")}, flows.Invalid},
		{"no reply", flows.Stand{Tuple: sent}, flows.Invalid},
		{"into its own reply", flows.Stand{Tuple: sent, Reply: sent}, flows.Invalid},
	}
	for _, test := range tests {
		rec := entriesAt(test.at)[0]
		if got := cfg.Eligible(&rec); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// A connection that too many entries may belong to is refused; so is one that is offloaded
// when its path is asked for again.
func TestTooManyKin(t *testing.T) {
	g, now := askingEngine(), flows.Instant(time.Second)
	entries := entriesAt(hairpin()...)
	live(g, now, g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}), entries)
	var others []flows.Entry
	for zone := range flows.Zone(maxKin) {
		others = append(others, entriesAt(plainAt(1000+zone, received))...)
	}
	g.Step(now, []Event{EntriesRead{At: now, Entries: others}})
	if _, ok := g.States(sent); ok {
		t.Fatal("promise 1: all can be told")
	}
	effects := g.Step(now, []Event{PathsDoubted{}})
	if removals(effects, flows.ZoneUnknown) != 1 {
		t.Errorf("promise 1: %v", effects)
	}
	for _, e := range effects {
		if e, ok := e.(Resolve); ok {
			t.Errorf("promise 1: %v", e)
		}
	}
}

// Rules of an earlier agent get the entries of all their zones; until then none of these
// gets another session, also where what links them was not seen.
func TestAdoptTranslated(t *testing.T) {
	for missing := range 4 {
		entries := entriesAt(hairpin()...)
		g, now := restarted(true, slices.Delete(slices.Clone(entries), missing, missing+1)...)
		g.cfg.Mark.Offload = MaskedMark{4, 4}
		effects := g.Step(now, []Event{RulesFound{[]FoundSession{{
			ID: 7, Tuples: arrive(sent, received), Paths: translatedPaths(sent, received), InHW: true,
		}}}})
		ask := effects[0].(Validate)
		if ask.Tuples != arrive(sent, received) {
			t.Fatalf("%+v", ask)
		}
		seen := slices.Delete(slices.Clone(entries), missing, missing+1)
		if effects := g.Step(now, []Event{EntriesRead{At: now, Entries: seen}}); len(effects) != 0 && missing != 1 {
			t.Errorf("promise 5: without entry %d: %v", missing, effects)
		}
		g.Step(now, []Event{EntriesRead{At: now, Entries: entries}})
		effects = g.Step(now, []Event{Validated{Session: 7, Op: ask.Op, Stands: hairpin(), Plain: true}})
		live(g, now, effects, entries)
		if views := g.Sessions(); len(views) != 1 || views[0].State != Offloaded || len(views[0].Zones) != 4 || len(g.claims) != 0 {
			t.Errorf("promise 1: %+v, claims %v", views, g.claims)
		}
	}
}

// What goes leaves nothing behind.
func TestTableIsGivenBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		table, all := newTable(), []*entry{}
		for i := range 40 {
			stands := hairpin()
			at := stands[rng.IntN(4)]
			e := &entry{key: flows.EntryKey{ID: uint32(i), Zone: at.Zone, Tuple: at.Tuple}}
			if at.Reply != at.Tuple.Reverse() {
				e.nat = &translation{reply: at.Reply}
			}
			table.add(e)
			all = append(all, e)
		}
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, e := range all {
			if table.get(e.key) != e {
				t.Fatal("lost")
			}
			table.remove(e)
			table.remove(e)
		}
		if len(table.heads) != 0 || len(table.far) != 0 || table.size != 0 {
			t.Fatalf("%d, %d, %d left", len(table.heads), len(table.far), table.size)
		}
	}
}

// All addresses and tuples of a session find it.
func TestTranslatedIsFound(t *testing.T) {
	g, now := askingEngine(), flows.Instant(time.Second)
	g.cfg.PermissionSources, g.sources = []string{"sb"}, newSources([]string{"sb"}, 1)
	entries := entriesAt(hairpin()...)
	asked := &judge{}
	effects := g.Step(now, []Event{
		PortsChanged{[]PortState{{ID: 1, Logical: "lp1"}, {ID: 2, Logical: "lp2"}}},
		PermissionsChanged{Permissions: asked}, EntriesRead{At: now, Entries: entries},
	})
	live(g, now, effects, entries)
	want := fmt.Sprintf("egress of lp1: %v, ingress of lp2: %v", sent, received)
	if got := strings.Join(asked.log, ", "); !strings.HasPrefix(got, want) {
		t.Errorf("promise 1: asked about %s", got)
	}
	for _, t2 := range []flows.Tuple{sent, received} {
		for _, addr := range []netip.Addr{t2.Src, t2.Dst} {
			if len(g.byAddr.appendTo(nil, addr)) != 1 {
				t.Errorf("promise 1: not found by %v", addr)
			}
		}
	}
	s := g.list[0]
	match := func(d int, t flows.Tuple) bool {
		m := flows.PacketMatch{In: s.paths[d].In, SrcPort: t.SrcPort, SrcPortMask: 0xffff, Dst: netip.PrefixFrom(t.Dst, 32)}
		return s.meantBy(&PathsDoubted{Matches: []flows.PacketMatch{m}})
	}
	if !match(0, sent) || !match(1, received.Reverse()) || match(1, sent.Reverse()) || match(0, received) {
		t.Error("promise 1: doubts mean other packets than those that come in")
	}
}

// judge permits everything and remembers what it was asked.
type judge struct{ log []string }

func (j *judge) Judge(port flows.LogicalPort, d flows.Direction, t flows.Tuple) flows.Permission {
	j.log = append(j.log, fmt.Sprintf("%v of %v: %v", d, port, t))
	return flows.Permission{Rule: 1}
}
func (*judge) Describe(flows.RuleRef) string   { return "" }
func (*judge) Detail(flows.LogicalPort) string { return "" }
