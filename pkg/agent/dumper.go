package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
)

// batchSize is how many entries travel together, and batches how many such loads
// there are: when the engine is behind, the dump waits for one to come back.
const (
	batchSize = 512
	batches   = 16
)

// dumper reads the whole conntrack table again and again. Dumps are where
// connections, their size and most of their state become known: OVS suppresses the
// events.
type dumper struct {
	conn interface {
		Dump(ctx context.Context, fn func(*flows.Entry) error) error
	}
	loop     *loop
	interval time.Duration
	health   *component
	now      chan struct{} // a value asks for a dump at once
	free     chan []flows.Entry
	last     atomic.Pointer[dumpResult]
	whole    atomic.Bool // one dump was complete
}

// dumpResult describes the last dump that ended.
type dumpResult struct {
	at      time.Time
	took    time.Duration
	entries uint64
}

func newDumper(conn *dumps, l *loop, interval time.Duration, health *component) *dumper {
	d := &dumper{conn: conn, loop: l, interval: interval, health: health,
		now: make(chan struct{}, 1), free: make(chan []flows.Entry, batches)}
	for range batches {
		d.free <- make([]flows.Entry, 0, batchSize)
	}
	return d
}

// soon asks for a dump at once, after events were lost.
func (d *dumper) soon() {
	signal(d.now)
}

func (d *dumper) run(ctx context.Context) error {
	for {
		began := time.Now()
		if err := d.dump(ctx); ctx.Err() != nil {
			return nil
		} else if err != nil && !errors.Is(err, conntrack.ErrDumpInterrupted) {
			d.health.failed(err)
		} else {
			d.health.ok()
		}
		// Dumps may take at most a quarter of the time, however large the table is.
		took := time.Since(began)
		pause := time.NewTimer(max(d.interval-took, 3*took))
		select {
		case <-pause.C:
		case <-d.now:
			pause.Stop()
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *dumper) dump(ctx context.Context) error {
	began := d.loop.clock.now()
	batch := load{dumper: d, at: began}
	var entries uint64
	err := d.conn.Dump(ctx, func(e *flows.Entry) error {
		entries++
		return batch.add(ctx, e)
	})
	batch.send()
	if err == nil || errors.Is(err, conntrack.ErrDumpInterrupted) {
		end := d.loop.clock.now()
		d.last.Store(&dumpResult{at: d.loop.clock.wall(end), took: end.Sub(began), entries: entries})
		d.loop.post(engine.DumpDone{Began: began, Complete: err == nil})
		if err == nil {
			d.whole.Store(true)
		}
	}
	return err
}

// load is a batch that is being filled.
type load struct {
	dumper  *dumper
	at      flows.Instant // before the first of its entries was read
	entries []flows.Entry
}

func (l *load) add(ctx context.Context, e *flows.Entry) error {
	if l.entries == nil {
		select {
		case l.entries = <-l.dumper.free:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.entries = append(l.entries, *e)
	if len(l.entries) == cap(l.entries) {
		l.send()
	}
	return nil
}

func (l *load) send() {
	if l.entries == nil {
		return
	}
	entries, free := l.entries, l.dumper.free
	l.dumper.loop.inbox.put(message{
		event: engine.EntriesRead{At: l.at, Entries: entries},
		done:  func() { free <- entries[:0] },
	})
	l.entries = nil
}
