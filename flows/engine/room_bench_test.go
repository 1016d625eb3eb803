package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// fullEngine returns an engine with n sessions in a table that has no room for more, and
// waiting connections that are worth less than any of them.
func fullEngine(b *testing.B, n, waiting int) (*Engine, []flows.Entry, flows.Instant) {
	b.Helper()
	cfg := DefaultConfig()
	cfg.Enforce, cfg.InsertRate, cfg.Capacity, cfg.MaxFollow = true, 1e9, n, n+waiting
	cfg.ReadBudget, cfg.ReadInterval, cfg.IdleAfter = 1, time.Hour, time.Hour
	cfg.Elephant = Elephant{Bytes: 1, Rate: 1, LeaveRate: 0, LeaveAfter: time.Hour}
	g := newEngineWithPorts(cfg)
	entries := manyEntries(n + waiting)
	now := flows.Instant(1)
	read := func(list []flows.Entry, bytes int) {
		for range 2 {
			now = now.Add(time.Second)
			for i := range list {
				list[i].Count[0].Packets += uint64(bytes)
				list[i].Count[0].Bytes += uint64(bytes*1000 + i)
			}
			answerAll(g, now, entries, g.Step(now, []Event{EntriesRead{At: now, Entries: list}}))
		}
	}
	read(entries[:n], 1000)
	for range 100 {
		if g.Used()[Offloaded] == n {
			break
		}
		now = now.Add(100 * time.Millisecond)
		answerAll(g, now, entries, g.Step(now, nil))
	}
	if used := g.Used(); used[Offloaded] != n {
		b.Fatalf("sessions %v, want %d offloaded", used, n)
	}
	read(entries[n:], 1)
	return g, entries, now
}

// answerAll answers effects, and those that this leads to, with success and at once.
func answerAll(g *Engine, now flows.Instant, entries []flows.Entry, effects []Effect) {
	for len(effects) > 0 {
		var events []Event
		for _, e := range effects {
			switch e := e.(type) {
			case Resolve:
				events = append(events, PathResolved{Session: e.Session, Op: e.Op, Paths: pathsOf(e), Tuples: [2]flows.Tuple{e.Entry.Tuple, e.Reply}})
			case Relax:
				events = append(events, Relaxed{Session: e.Session, Op: e.Op})
			case Install:
				events = append(events, Installed{Session: e.Session, Op: e.Op})
			case Remove:
				events = append(events, Removed{Session: e.Session, Op: e.Op})
			case Read:
				id := e.Entries[0].ID
				events = append(events, SessionRead{Session: e.Session, Op: e.Op, At: now, Found: entries[id : id+1]})
			}
		}
		effects = g.Step(now, events)
	}
}

// pathsOf returns paths that do what the only entry of a connection does.
func pathsOf(r Resolve) flows.Paths {
	if r.Reply == r.Entry.Tuple.Reverse() {
		return benchPaths
	}
	return translatedPaths(r.Entry.Tuple, r.Reply.Reverse())
}

// benchmarkSteps measures steps in which nothing happens but that a second passes, and
// with it the time to look for sessions that others should displace.
func benchmarkSteps(b *testing.B, sessions, waiting int, pass time.Duration) {
	if testing.Short() {
		sessions, waiting = sessions/100, waiting/100
	}
	g, _, now := fullEngine(b, sessions, waiting)
	b.ResetTimer()
	for b.Loop() {
		now = now.Add(pass)
		g.Step(now, nil)
	}
}

// BenchmarkDisplace is the search for sessions that others should displace.
func BenchmarkDisplace(b *testing.B) { benchmarkSteps(b, 100_000, 1000, 2*time.Second) }

// BenchmarkWaiting is a step while many wait.
func BenchmarkWaiting(b *testing.B) { benchmarkSteps(b, 1000, 500_000, 20*time.Millisecond) }
