package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// mover is an engine with one connection, whose path changes now and then.
type mover struct {
	t        *testing.T
	g        *Engine
	now      flows.Instant
	entry    flows.Entry
	installs int
	lost     bool // after each change nobody knows the path, before a packet was seen
}

func newMover(t *testing.T) *mover {
	g, now := offloadMany(t, 1)
	m := &mover{t: t, g: g, now: now, entry: manyEntries(1)[0]}
	m.entry.Mark = 4
	return m
}

// passes lets time pass; a dump tells of the connection five times a second.
func (m *mover) passes(d time.Duration) {
	for until := m.now.Add(d); m.now < until; {
		m.now = m.now.Add(200 * time.Millisecond)
		m.step(EntriesRead{At: m.now, Entries: []flows.Entry{m.entry}})
	}
}

// step tells the engine something, and gives it the answers that it asks for but for Validates.
func (m *mover) step(events ...Event) (asked []Validate) {
	effects := m.g.Step(m.now, events)
	for _, e := range effects {
		if r, ok := e.(Resolve); ok && m.lost {
			m.lost = false
			effects = m.g.Step(m.now, []Event{PathResolved{Session: r.Session, Op: r.Op, Reason: flows.PathUnknown}})
			effects = append(effects, m.g.Step(m.now, []Event{Sighted{Tuple: r.Entry.Tuple}})...)
		}
	}
	before := m.g.Counts().Installs
	asked = drive(m.g, m.now, effects, func(flows.EntryKey) flows.Entry { return m.entry }, benchPaths)
	m.installs += int(m.g.Counts().Installs - before)
	return asked
}

// moves changes the path.
func (m *mover) moves(reason flows.Reason) {
	m.step(answer(m.step(PathsDoubted{}), Validated{Reason: reason})...)
	m.lost = true
}

func (m *mover) offloaded() bool { return m.g.Used()[Offloaded] == 1 }

// A connection whose path has changed is back soon, each time, whatever its old path was
// refused for and however often it was tried in vain.
func TestPathMoves(t *testing.T) {
	m := newMover(t)
	for i := range 10 {
		m.passes(settledAfter)
		m.moves(flows.UnsupportedTunnel)
		if m.offloaded() {
			t.Fatal("stays on its old path")
		}
		m.passes(1400 * time.Millisecond)
		if !m.offloaded() {
			t.Fatalf("promise 7: change %d: not back after 1.4 s: %+v", i, m.g.Followed())
		}
	}
}

// One that moves to and fro keeps the eswitch no busier than any other that fails.
func TestPathMovesToAndFro(t *testing.T) {
	m := newMover(t)
	for range 600 {
		m.passes(time.Second)
		if m.offloaded() {
			m.moves(flows.PathChanged)
		}
	}
	if m.installs > 30 {
		t.Errorf("promise 7: %d installations in ten minutes", m.installs)
	}
	m.passes(45 * time.Second)
	if !m.offloaded() {
		t.Error("is not back when all is quiet")
	}
	m.moves(flows.PathChanged)
	m.passes(1400 * time.Millisecond)
	if !m.offloaded() {
		t.Error("waits for what is long over")
	}
}
