package ovsdb

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/client"
)

// writer writes what differs from what shall stand in the database.
type writer struct {
	client   *client.Client
	systemID string
	interval time.Duration
	wake     chan struct{}

	mu     sync.Mutex
	turn   int              // counts connections, and rows of ours that vanished
	node   *Node            // to be written; nil: nobody has said
	stands *Node            // as it was written in this turn; nil: it was not
	uuid   string           // of our row; empty: there is none
	status map[rowID]string // to be written
	tried  map[rowID]string // was written since the rest of the row has changed
	err    error
}

func newWriter(cfg Config, c *client.Client) *writer {
	return &writer{client: c, systemID: cfg.SystemID, interval: cfg.Interval, wake: make(chan struct{}, 1), tried: map[rowID]string{}}
}

func (w *writer) state() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// change changes what shall be written, or what stands.
func (w *writer) change(f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

func (w *writer) report(n Node) { w.change(func() { w.node = &n }) }

// connected says that what was written may not be there: all is written again.
func (w *writer) connected(nodes map[string]bool) {
	w.change(func() {
		w.stands = nil
		w.turn++
		clear(w.tried)
	})
	w.noteNodes(nodes)
}

// noteNodes notes which rows are ours: one at most, by the index of the table.
func (w *writer) noteNodes(nodes map[string]bool) {
	w.change(func() {
		before := w.uuid
		if w.uuid = ""; len(nodes) > 0 {
			w.uuid = slices.Min(slices.Collect(maps.Keys(nodes)))
		}
		if before != "" && w.uuid != before {
			w.stands = nil // somebody has removed it
			w.turn++
		}
	})
}

// noteStatus notes what shall stand in the rows, and what does. The same text is not written
// a second time into a row that nobody has changed, so that two agents that do not
// agree do not write for ever.
func (w *writer) noteStatus(wanted, stands map[rowID]string) {
	todo := map[rowID]string{}
	for id, text := range stands {
		if wanted[id] != text {
			todo[id] = wanted[id]
		}
	}
	w.change(func() {
		w.status = todo
		for id := range w.tried {
			if _, ok := stands[id]; !ok {
				delete(w.tried, id)
			}
		}
	})
}

// forget says that a row has changed.
func (w *writer) forget(id rowID) { w.change(func() { delete(w.tried, id) }) }

// Bounds of writing.
const (
	patience  = 10 * time.Second // for an answer
	maxStatus = 500              // rows in one transaction
	maxPause  = 30               // intervals after failures
)

// run writes until ctx ends: at most once in an interval, more seldom while that fails.
func (w *writer) run(ctx context.Context) {
	pause := w.interval
	for {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		}
		err := w.write(ctx)
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
		switch {
		case err == nil:
			pause = w.interval
		case errors.Is(err, client.ErrNotConnected): // the next connection wakes us
			pause = w.interval
		default:
			pause = min(2*pause, maxPause*w.interval)
			w.change(func() {})
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// write carries out what there is to write, now.
func (w *writer) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return errors.Join(w.writeStatus(ctx), w.writeNode(ctx))
}

func (w *writer) writeStatus(ctx context.Context) error {
	todo := w.statusToWrite()
	for some := range slices.Chunk(slices.SortedFunc(maps.Keys(todo), func(a, b rowID) int {
		return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.uuid, b.uuid))
	}), maxStatus) {
		var list []any
		for _, id := range some {
			list = append(list, operation{"op": "update", "table": id.table, "row": map[string]string{"status": todo[id]},
				"where": []any{client.Condition{Column: "_uuid", Function: "==", Value: client.UUID(id.uuid)}}})
		}
		if _, err := w.client.Transact(ctx, list...); err != nil {
			return err
		}
		w.mu.Lock()
		for _, id := range some {
			w.tried[id] = todo[id]
		}
		w.mu.Unlock()
	}
	return nil
}

func (w *writer) statusToWrite() map[rowID]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	todo := maps.Clone(w.status)
	maps.DeleteFunc(todo, func(id rowID, text string) bool {
		last, ok := w.tried[id]
		return ok && last == text
	})
	return todo
}

func (w *writer) writeNode(ctx context.Context) error {
	w.mu.Lock()
	turn, node, stands, uuid := w.turn, w.node, w.stands, w.uuid
	w.mu.Unlock()
	if node == nil || stands != nil && reflect.DeepEqual(node, stands) {
		return nil
	}
	if _, err := w.client.Transact(ctx, node.operations(w.systemID, uuid, stands)...); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn == turn {
		w.stands = node
	}
	return nil
}
