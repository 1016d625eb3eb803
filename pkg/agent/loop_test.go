package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// testLoop returns a loop whose effects are dropped; it does not run.
func testLoop() *loop {
	return newLoop(newClock(), engine.New(engine.DefaultConfig()), func([]engine.Effect) {})
}

// posted takes the events that wait in the inbox.
func (l *loop) posted() (events []engine.Event) {
	for _, m := range l.inbox.take() {
		events = append(events, m.event)
	}
	return events
}

func entry(src string) flows.Entry {
	t, err := flows.ParseTuple("udp," + src + ":40000,10.0.0.2:5201")
	if err != nil {
		panic(err)
	}
	return flows.Entry{Key: flows.EntryKey{ID: 7, Zone: 10, Tuple: t}, Reply: t.Reverse(), HasCount: true,
		Status: flows.StatusConfirmed | flows.StatusSeenReply | flows.StatusAssured}
}

// What was posted is stepped, in order, and its load comes back after that.
func TestLoopSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLoop()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.run(ctx) }()
		e := entry("10.0.0.1")
		returned := make(chan bool, 1)
		l.inbox.put(message{
			event: engine.EntriesRead{At: l.clock.now(), Entries: []flows.Entry{e}},
			done:  func() { returned <- true },
		})
		<-returned
		followed := func() (n int) {
			if err := l.ask(ctx, func(g *engine.Engine) { n = len(g.Followed()) }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := followed(); n != 1 {
			t.Errorf("%d followed after the entry was read", n)
		}
		l.post(engine.EntriesGone{Keys: []flows.EntryKey{e.Key}})
		synctest.Wait()
		if n := followed(); n != 0 {
			t.Errorf("%d followed after the entry was gone", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Nobody waits for an engine that does not turn any more.
func TestAskAfterTheEnd(t *testing.T) {
	l := testLoop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.ask(t.Context(), func(*engine.Engine) { t.Error("was run") }); !errors.Is(err, errEnded) {
		t.Errorf("got %v", err)
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := testLoop().ask(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// Hints beyond the bound are dropped, and the engine is told once, whatever else was
// posted at the same moment.
func TestHintsAreBounded(t *testing.T) {
	l := testLoop()
	for range maxHints {
		l.hint(engine.Hint{})
	}
	l.post(engine.DumpDone{}, engine.DumpDone{}) // not hints: never dropped
	for range 10 {
		l.hint(engine.Hint{})
	}
	if n := l.inbox.len(); n != maxHints+2 {
		t.Errorf("%d wait, want %d", n, maxHints+2)
	}
	if !l.dropped.Load() {
		t.Error("that hints were lost is lost")
	}
	for steps := 0; l.inbox.len() > 0; steps++ {
		if l.step(); steps > maxHints {
			t.Fatal("steps leave something behind")
		}
	}
	if l.dropped.Load() {
		t.Error("that hints were lost is told for ever")
	}
}
