package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// tick is the longest time between two steps of the engine.
const tick = 20 * time.Millisecond

// maxHints bounds the hints that wait; beyond, everything offloaded is read instead.
const maxHints = 1 << 16

// loop is the one goroutine that owns the engine.
type loop struct {
	clock    clock
	engine   *engine.Engine
	inbox    *inbox
	asks     chan func(*engine.Engine)
	ended    chan struct{} // closed when nobody answers any more
	dropped  atomic.Bool   // hints were lost since the last step
	effects  func([]engine.Effect)
	settling *settling
	watch    func(now flows.Instant, events []message, effects []engine.Effect) // nil: nobody does
}

var errEnded = errors.New("the agent is going down")

func newLoop(c clock, e *engine.Engine, effects func([]engine.Effect)) *loop {
	return &loop{clock: c, engine: e, inbox: newInbox(), asks: make(chan func(*engine.Engine)),
		ended: make(chan struct{}), effects: effects, settling: newSettling(e.HasRules)}
}

// post hands events to the engine.
func (l *loop) post(events ...engine.Event) {
	list := make([]message, len(events))
	now := l.clock.now()
	for i, ev := range events {
		list[i].at, list[i].event = now, ev
	}
	l.inbox.put(list...)
}

// hint posts an event that may be lost.
func (l *loop) hint(ev engine.Event) {
	if l.inbox.len() >= maxHints {
		l.dropped.Store(true)
		return
	}
	l.post(ev)
}

// ask runs f on the engine between two steps. It fails when ctx or the loop ends.
func (l *loop) ask(ctx context.Context, f func(*engine.Engine)) error {
	done := make(chan struct{})
	select {
	case l.asks <- func(e *engine.Engine) { defer close(done); f(e) }:
		<-done
		return nil
	case <-l.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *loop) run(ctx context.Context) error {
	defer close(l.ended)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-l.asks:
			f(l.engine)
			continue
		case <-l.inbox.wake:
		case <-ticker.C:
		}
		l.step()
	}
}

func (l *loop) step() {
	messages := l.inbox.take()
	events := make([]engine.Event, len(messages), len(messages)+1)
	for i, m := range messages {
		events[i] = m.event
	}
	now := l.clock.now()
	if l.dropped.Swap(false) {
		events = append(events, engine.Lost{})
		messages = append(messages, message{at: now, event: engine.Lost{}})
	}
	effects := l.engine.Step(now, events)
	if l.watch != nil {
		l.watch(now, messages, effects)
	}
	l.effects(effects)
	for _, m := range messages {
		if m.done != nil {
			m.done()
		}
	}
	told, done := l.engine.PoliciesTold()
	l.settling.step(now, messages, effects, told, done)
	if l.engine.Unfinished() {
		signal(l.inbox.wake)
	}
}
