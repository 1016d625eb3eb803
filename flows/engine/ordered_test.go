package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Policies look at a session by both names of its connection, and by its ports the right way
// round.
func TestSubjectOfSession(t *testing.T) {
	s := &session{tuple: sent, paths: translatedPaths(sent, received), dscp: 11}
	want := flows.Subject{Tuple: sent, Far: received, In: 1, Out: 2, Placed: true, DSCP: 11}
	if got := s.subject(); got != want {
		t.Errorf("promise 1: %+v, want %+v", got, want)
	}
}

// An order that names one entry is about all of its session; each gets its mark.
func TestOrderAboutOneOfMany(t *testing.T) {
	for _, kind := range []OrderKind{OrderInspect, OrderRevoke} {
		g, now := askingEngine(), flows.Instant(time.Second)
		g.cfg.Mark.Never = neverMark.Never
		entries := entriesAt(hairpin()...)
		live(g, now, g.Step(now, []Event{EntriesRead{At: now, Entries: entries}}), entries)
		offloadedAll(t, g, 1)
		marked := make(map[flows.EntryKey]bool)
		for _, e := range g.Step(now, []Event{Ordered{Kind: kind, Keys: []flows.EntryKey{entries[2].Key}}}) {
			if e, ok := e.(Remember); ok && e.Never {
				marked[e.Entries[0]] = true
			}
		}
		for i := range entries {
			e := g.entries.get(entries[i].Key)
			if g.orderOf(e).kind != kind || !marked[e.key] || e.denied != (kind == OrderRevoke) {
				t.Errorf("promise 9: order %d, entry %d: %+v, marked %v, denied %v", kind, i, g.orderOf(e), marked[e.key], e.denied)
			}
		}
	}
}

// What is offloaded already is so by order from then on, and not by a mark.
func TestOrderOfWhatIsOffloaded(t *testing.T) {
	g, entries, step := commanded(t, 1, simPolicies{mild(1)}, Mark{})
	step(0, Ordered{Kind: OrderOffload, Keys: []flows.EntryKey{entries[0].Key}})
	if s, r := g.list[0], reasonOf(g, entries[0]); s.reason != flows.OrderOffload || r != flows.OrderOffload {
		t.Errorf("promise 8: offloaded for %q, its entry says %q", s.reason, r)
	}
}
