package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// fakeTable is a conntrack table in which some keys fail.
type fakeTable struct {
	errs     map[uint32]error // by id of the entry
	fails    error            // of the whole request, after its first item
	requests [][]uint32
	updates  []conntrack.Update
	timeouts []uint32
}

func (f *fakeTable) answer(keys []flows.EntryKey, answer conntrack.Answer) error {
	var ids []uint32
	for i, key := range keys {
		ids = append(ids, key.ID)
		if f.fails != nil && i > 0 {
			break
		}
		answer(i, &flows.Entry{Key: key}, f.errs[key.ID])
	}
	if len(ids) > 0 {
		f.requests = append(f.requests, ids)
	}
	return f.fails
}

func (f *fakeTable) Get(_ context.Context, keys []flows.EntryKey, a conntrack.Answer) error {
	return f.answer(keys, a)
}

func (f *fakeTable) Update(_ context.Context, updates []conntrack.Update, a conntrack.Answer) error {
	f.updates = append(f.updates, updates...)
	keys := make([]flows.EntryKey, len(updates))
	for i := range updates {
		keys[i] = updates[i].Key
	}
	return f.answer(keys, a)
}

func (f *fakeTable) Refresh(_ context.Context, refreshes []conntrack.Refresh, a conntrack.Answer) error {
	keys := make([]flows.EntryKey, len(refreshes))
	for i := range refreshes {
		keys[i] = refreshes[i].Key
		f.timeouts = append(f.timeouts, refreshes[i].Timeout)
	}
	return f.answer(keys, a)
}

func key(id uint32) flows.EntryKey { return flows.EntryKey{ID: id} }

func keys(ids ...uint32) (k []flows.EntryKey) {
	for _, id := range ids {
		k = append(k, key(id))
	}
	return k
}

// carryOut lets an executor work off effects and returns its answers.
func carryOut(t *testing.T, f *fakeTable, todo ...engine.Effect) ([]engine.Event, *component) {
	t.Helper()
	x := &entries{conn: f, loop: testLoop(), todo: newQueue[engine.Effect](), health: newComponent("entries", silent),
		blocked: engine.MaskedMark{Value: 1, Mask: 3}}
	x.todo.put(todo...)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- x.run(ctx) }()
	var events []engine.Event
	for len(events) < len(todo) {
		<-x.loop.inbox.wake
		events = append(events, x.loop.posted()...)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return events, x.health
}

func sessionRead(t *testing.T, events []engine.Event, id flows.SessionID) engine.SessionRead {
	t.Helper()
	for _, ev := range events {
		if r, ok := ev.(engine.SessionRead); ok && r.Session == id {
			return r
		}
	}
	t.Fatalf("session %d has no answer among %+v", id, events)
	return engine.SessionRead{}
}

// Many reads are one request, and each session gets what is of its entries.
func TestReadsAreOneRequest(t *testing.T) {
	broken := errors.New("broken")
	f := &fakeTable{errs: map[uint32]error{
		2: conntrack.ErrNotFound, 3: conntrack.ErrReplaced, 5: broken,
	}}
	events, _ := carryOut(t, f,
		engine.Read{Session: 1, Op: 10, Entries: keys(1, 2)},
		engine.Read{Session: 2, Op: 20, Entries: keys(3)},
		engine.Read{Session: 3, Op: 30, Entries: keys(4, 5)})
	if len(f.requests) != 1 || !slices.Equal(f.requests[0], []uint32{1, 2, 3, 4, 5}) {
		t.Errorf("requests %v, want one", f.requests)
	}
	one, two, three := sessionRead(t, events, 1), sessionRead(t, events, 2), sessionRead(t, events, 3)
	if one.Op != 10 || one.At == 0 || len(one.Found) != 1 || one.Found[0].Key != key(1) ||
		!slices.Equal(one.Missing, keys(2)) || one.Err != nil {
		t.Errorf("session 1: %+v", one)
	}
	if len(two.Found) != 0 || !slices.Equal(two.Missing, keys(3)) || two.Err != nil {
		t.Errorf("session 2: %+v", two)
	}
	if len(three.Found) != 1 || len(three.Missing) != 0 || !errors.Is(three.Err, broken) {
		t.Errorf("session 3: %+v", three)
	}
}

// A request that fails as a whole is every session's error: none goes unanswered.
func TestWholeRequestFails(t *testing.T) {
	f := &fakeTable{fails: conntrack.ErrOverrun}
	events, health := carryOut(t, f,
		engine.Read{Session: 1, Entries: keys(1)}, engine.Read{Session: 2, Entries: keys(2)},
		engine.KeepAlive{Session: 3, Entries: keys(3), Timeout: 9}, engine.Relax{Session: 4, Op: 4, Entries: keys(4, 5)})
	for id := range flows.SessionID(3) {
		if ev := sessionRead(t, events, id+1); !errors.Is(ev.Err, conntrack.ErrOverrun) {
			t.Errorf("session %d: %+v", id+1, ev)
		}
	}
	relaxed := slices.IndexFunc(events, func(ev engine.Event) bool {
		r, ok := ev.(engine.Relaxed)
		return ok && r.Session == 4 && errors.Is(r.Err, conntrack.ErrOverrun)
	})
	if relaxed < 0 {
		t.Errorf("the relaxation did not fail: %+v", events)
	}
	if health.get().Health != control.HealthFailed {
		t.Error("the component is not said to have failed")
	}
}

func TestKeepAlive(t *testing.T) {
	f := &fakeTable{errs: map[uint32]error{2: conntrack.ErrClosing, 3: conntrack.ErrNotFound}}
	events, _ := carryOut(t, f, engine.KeepAlive{Session: 1, Op: 7, Entries: keys(1, 2, 3), Timeout: 120})
	ev := sessionRead(t, events, 1)
	if !slices.Equal(f.timeouts, []uint32{120, 120, 120}) {
		t.Errorf("asked for timeouts %v", f.timeouts)
	}
	// A closing entry is an answer like another one, which the engine understands.
	if ev.Op != 7 || len(ev.Found) != 2 || !slices.Equal(ev.Missing, keys(3)) || ev.Err != nil {
		t.Errorf("got %+v", ev)
	}
}

func TestRelax(t *testing.T) {
	f := &fakeTable{errs: map[uint32]error{3: conntrack.ErrNotFound}}
	events, _ := carryOut(t, f,
		engine.Relax{Session: 1, Op: 1, Entries: keys(1, 2), Step: engine.SetLiberal},
		engine.Relax{Session: 2, Op: 2, Entries: keys(3), Step: engine.ClearMaxAck})
	want := []conntrack.Update{
		{Key: key(1), TCP: conntrack.SetLiberal}, {Key: key(2), TCP: conntrack.SetLiberal},
		{Key: key(3), TCP: conntrack.ClearMaxAck},
	}
	if !slices.Equal(f.updates, want) {
		t.Errorf("wrote %+v, want %+v", f.updates, want)
	}
	for _, ev := range events {
		r := ev.(engine.Relaxed)
		if failed := r.Session == 2; errors.Is(r.Err, conntrack.ErrNotFound) != failed || r.Op != uint64(r.Session) {
			t.Errorf("got %+v", r)
		}
	}
}

// Of mark and label only the network service's own bit is written, and what became of it
// is told.
func TestDeny(t *testing.T) {
	f := &fakeTable{errs: map[uint32]error{2: conntrack.ErrNotFound, 3: conntrack.ErrNoLabels}}
	events, health := carryOut(t, f, engine.Deny{Entries: []engine.DenyEntry{
		{Key: key(1)}, {Key: key(2)}, {Key: key(3), Label: true}, {Key: key(4), Label: true},
	}})
	bit := conntrack.Labels{Set: [16]byte{1}, Mask: [16]byte{1}}
	want := []conntrack.Update{
		{Key: key(1), Mark: conntrack.Mark{Set: 1, Mask: 3}}, {Key: key(2), Mark: conntrack.Mark{Set: 1, Mask: 3}},
		{Key: key(3), Labels: bit}, {Key: key(4), Labels: bit},
	}
	if !slices.Equal(f.updates, want) {
		t.Errorf("wrote %+v, want %+v", f.updates, want)
	}
	if read := events[0].(engine.EntriesRead); len(read.Entries) != 2 || read.Entries[1].Key != key(4) {
		t.Errorf("got %+v", read)
	}
	if text := health.get().LastError; !strings.Contains(text, conntrack.ErrNoLabels.Error()) {
		t.Errorf("the trouble is %q", text)
	}
}
