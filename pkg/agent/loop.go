package agent

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/flows/engine"
)

// tick is the longest time between two steps of the engine.
const tick = 20 * time.Millisecond

// message is an event on its way to the engine, and what to do once it took it.
type message struct {
	event engine.Event
	done  func()
}

// maxHints bounds the hints that wait; beyond, everything offloaded is read instead.
const maxHints = 1 << 16

// loop is the one goroutine that owns the engine.
type loop struct {
	clock   clock
	engine  *engine.Engine
	inbox   *queue[message]
	asks    chan func(*engine.Engine)
	effects func([]engine.Effect)
}

func newLoop(c clock, e *engine.Engine, effects func([]engine.Effect)) *loop {
	return &loop{clock: c, engine: e, inbox: newQueue[message](), asks: make(chan func(*engine.Engine)), effects: effects}
}

// post hands events to the engine.
func (l *loop) post(events ...engine.Event) {
	list := make([]message, len(events))
	for i, ev := range events {
		list[i].event = ev
	}
	l.inbox.put(list...)
}

// hint posts an event that may be lost.
func (l *loop) hint(ev engine.Event) {
	switch n := l.inbox.len(); {
	case n < maxHints:
		l.post(ev)
	case n == maxHints:
		l.post(engine.Lost{})
	}
}

// ask runs f on the engine between two steps.
func (l *loop) ask(ctx context.Context, f func(*engine.Engine)) error {
	done := make(chan struct{})
	select {
	case l.asks <- func(e *engine.Engine) { defer close(done); f(e) }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *loop) run(ctx context.Context) error {
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
	messages := l.inbox.tryTake()
	events := make([]engine.Event, len(messages))
	for i, m := range messages {
		events[i] = m.event
	}
	l.effects(l.engine.Step(l.clock.now(), events))
	for _, m := range messages {
		if m.done != nil {
			m.done()
		}
	}
}
