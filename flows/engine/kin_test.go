package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

var query = tuple("udp,10.0.0.1:40000,10.0.0.2:53")

// queryAt returns the entry of a tuple in a zone, asked for by its mark.
func queryAt(zone flows.Zone, at flows.Tuple) flows.Entry {
	e := entriesAt(plainAt(zone, at))[0]
	e.Key.ID, e.TCP = uint32(zone), flows.TCPInfo{}
	return e
}

// crowd lets the same tuple be used in so many other zones that not all are looked at.
func crowd(g *Engine, now flows.Instant, at flows.Tuple) (keys []flows.EntryKey) {
	var list []flows.Entry
	for i := range flows.Zone(maxKin) {
		list = append(list, queryAt(1000+i, at))
		list[i].Mark = 0
		keys = append(keys, list[i].Key)
	}
	g.Step(now, []Event{EntriesRead{At: now, Entries: list}})
	return keys
}

func resolves(effects []Effect) int {
	n := 0
	for _, e := range effects {
		if _, ok := e.(Resolve); ok {
			n++
		}
	}
	return n
}

// What was denied cannot be hidden behind many others: neither while they are there, nor
// when they are gone, by whichever of its names.
func TestDeniedInACrowd(t *testing.T) {
	outside := tuple("udp,192.0.2.1:50000,10.0.0.2:53")
	for _, test := range []struct {
		name   string
		denied flows.Stand
		turned flows.Tuple
	}{
		{"plain", plainAt(100, query), query.Reverse()},
		{"translated", flows.Stand{Zone: 500, Tuple: query, Reply: outside.Reverse()}, outside.Reverse()},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, now := askingEngine(), flows.Instant(time.Second)
			denied := entriesAt(test.denied)[0]
			denied.TCP, denied.Mark = flows.TCPInfo{}, 1
			g.Step(now, []Event{EntriesRead{At: now, Entries: []flows.Entry{denied}}})
			others := crowd(g, now, query)
			turned := queryAt(100, test.turned)
			if test.denied.Zone == 100 {
				turned.Key.Zone = 101
			}
			reverse := EntriesRead{At: now, Entries: []flows.Entry{turned}}
			if n := resolves(g.Step(now, []Event{reverse})); n != 0 {
				t.Error("promise 3: what turned around is offloaded while it is there")
			}
			if reason, _ := g.barred(g.entries.get(turned.Key)); reason == "" {
				t.Error("promise 3: what turned around may go on if its path is known already")
			}
			if x := g.Explain(&turned); x.View.Reason != flows.ZoneUnknown || x.View.Detail != tooManyKin {
				t.Errorf("promise 8: %q, %q", x.View.Reason, x.View.Detail)
			}
			g.Step(now, []Event{EntriesGone{[]flows.EntryKey{turned.Key, denied.Key}}})
			if n := resolves(g.Step(now, []Event{reverse})); n != 0 {
				t.Error("promise 3: what turned around is offloaded when it is gone")
			}
			g.Step(now, []Event{EntriesGone{append(others, turned.Key)}})
			if n := resolves(g.Step(now, []Event{reverse})); n != 0 {
				t.Error("promise 3: what turned around is offloaded when all are gone")
			}
		})
	}
}

// inACrowd returns an engine with one session that many others resemble.
func inACrowd(t *testing.T) (*Engine, flows.Entry, flows.Instant) {
	t.Helper()
	g, now := askingEngine(), flows.Instant(time.Second)
	e := queryAt(100, query)
	drive(g, now, g.Step(now, []Event{EntriesRead{At: now, Entries: []flows.Entry{e}}}),
		func(flows.EntryKey) flows.Entry { return e }, benchPaths)
	if g.Used()[Offloaded] != 1 {
		t.Fatalf("%v", g.Used())
	}
	g.list[0].zoned = true // else the first other one ends it
	crowd(g, now, query)
	return g, e, now
}

func TestSessionInACrowd(t *testing.T) {
	g, e, now := inACrowd(t)
	effects := g.Step(now, []Event{Hint{query.Reverse()}})
	if len(effects) != 1 {
		t.Errorf("promise 2: what its end leads to: %v", effects)
	}
	e.Mark = 0xc
	g.readMarks(g.entries.get(e.Key), &e)
	if g.Doubted() != 1 {
		t.Error("promise 1: a changed mark is no doubt")
	}
}

// All that belong together are found, once each, whichever the bound cuts off.
func TestAllKin(t *testing.T) {
	for n := range 3 * maxKin {
		table := newTable()
		var want []flows.EntryKey
		for _, rec := range entriesAt(hairpin()...) {
			e := &entry{key: rec.Key}
			if rec.HasNAT() {
				e.nat = &translation{reply: rec.Reply}
			}
			table.add(e)
			want = append(want, e.key)
		}
		for _, key := range crowdKeys(n) {
			table.add(&entry{key: key})
			want = append(want, key)
		}
		got, times := make(map[flows.EntryKey]bool), 0
		for e, turned := range table.allKin(sent).each {
			got[e.key] = turned
			times++
		}
		for _, key := range want {
			if turned, found := got[key]; !found || turned {
				t.Errorf("promise 1: with %d others, %v: found %v, turned %v", n, key, found, turned)
			}
		}
		if times != len(want) {
			t.Errorf("promise 1: %d found, want %d", times, len(want))
		}
		if k := table.kin(sent); k.over != (len(want) > maxKin) {
			t.Errorf("promise 1: %d, over %v", len(want), k.over)
		}
	}
}

func crowdKeys(n int) (keys []flows.EntryKey) {
	for i := range n {
		keys = append(keys, flows.EntryKey{ID: uint32(i), Zone: flows.Zone(1000 + i), Tuple: passed})
	}
	return keys
}
