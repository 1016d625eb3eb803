package agent

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
)

// listener turns conntrack events into hints: what is new, what is gone, and which
// session's entry to read again.
type listener struct {
	conn     *conntrack.Listener
	loop     *loop
	dumper   *dumper
	health   *component
	failed   bool // until the next event
	overruns atomic.Uint64
}

func (l *listener) run(ctx context.Context) error {
	l.health.ok()
	for {
		err := l.conn.Receive(ctx, l.event)
		switch {
		case ctx.Err() != nil || errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, conntrack.ErrOverrun):
			l.overruns.Add(1)
			l.loop.post(engine.Lost{})
			l.dumper.soon()
			l.health.note(err)
		case err != nil:
			l.failed = true
			l.health.failed(err)
			l.loop.post(engine.Lost{})
			l.dumper.soon()
			pause(ctx, time.Second)
		}
	}
}

func (l *listener) event(ev *conntrack.Event) error {
	if l.failed {
		l.failed = false
		l.health.ok()
	}
	switch ev.Type {
	case conntrack.EventNew:
		l.loop.hint(engine.EntriesAppeared{At: l.loop.clock.now(), Entries: []flows.Entry{ev.Entry}})
	case conntrack.EventUpdate:
		l.loop.hint(engine.Hint{Tuple: ev.Entry.Key.Tuple})
	case conntrack.EventDestroy:
		l.loop.hint(engine.EntriesGone{Keys: []flows.EntryKey{ev.Entry.Key}})
	}
	return nil
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
