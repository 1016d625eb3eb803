package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// manyEntries returns n established connections of different clients.
func manyEntries(n int) []flows.Entry {
	list := make([]flows.Entry, n)
	for i := range list {
		e := established(uint32(i), 10)
		e.Key.Tuple.Src = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		e.Reply = e.Key.Tuple.Reverse()
		list[i] = e
	}
	return list
}

// BenchmarkDump is what a dump of mice costs the engine, for each entry.
func BenchmarkDump(b *testing.B) {
	n := 500_000
	if testing.Short() {
		n = 10_000
	}
	entries := manyEntries(n)
	g := newEngineWithPorts(DefaultConfig())
	now := flows.Instant(1)
	dump := func() {
		now = now.Add(time.Second)
		events := make([]Event, 0, n/512+2)
		for from := 0; from < n; from += 512 {
			events = append(events, EntriesRead{At: now, Entries: entries[from:min(from+512, n)]})
		}
		g.Step(now, append(events, DumpDone{Began: now, Complete: true}))
	}
	dump()
	b.ReportAllocs()
	for b.Loop() {
		dump()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/entry")
}

// BenchmarkUpdates is a session's whole life: admitted, installed, verified, ended.
func BenchmarkUpdates(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchmarkUpdates(b, manyEntries(1000)) })
	b.Run("translated", func(b *testing.B) {
		entries := manyEntries(1000)
		for i := range entries {
			translate(&entries[i])
		}
		benchmarkUpdates(b, entries)
	})
}

// translate gives an entry another source.
func translate(rec *flows.Entry) {
	far := rec.Key.Tuple
	far.Src, far.SrcPort = netip.AddrFrom4([4]byte{192, 0, 2, byte(rec.Key.ID >> 16)}), uint16(rec.Key.ID)
	rec.Reply = far.Reverse()
	rec.Status |= flows.StatusSrcNAT
}

func benchmarkUpdates(b *testing.B, entries []flows.Entry) {
	b.Helper()
	cfg := DefaultConfig()
	cfg.Enforce, cfg.InsertRate, cfg.Capacity = true, 1e9, 1e6
	cfg.Mark.Offload = MaskedMark{4, 4}
	g := newEngineWithPorts(cfg)
	n := len(entries)
	for i := range entries {
		entries[i].Mark = 4
	}
	now := flows.Instant(1)
	life := func() {
		now = now.Add(time.Second)
		answerAll(g, now, entries, g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}))
		var gone EntriesGone
		for i := range entries {
			gone.Keys = append(gone.Keys, entries[i].Key)
		}
		for _, e := range g.Step(now, []Event{gone}) {
			if e, ok := e.(Remove); ok {
				g.Step(now, []Event{Removed{Session: e.Session, Op: e.Op}})
			}
		}
	}
	for b.Loop() {
		life()
	}
	if c := g.Counts(); c.Installs != uint64(n*b.N) {
		b.Fatalf("%d installs, want %d", c.Installs, n*b.N)
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "sessions/s")
}
