package agent

import (
	"context"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// How many sessions go to the eswitch at a time, at most. Removals are looked for after
// each batch of installations, and wait for no more than that: a batch that took longer
// than batchTime is followed by a smaller one.
const (
	installChunk = 64
	removeChunk  = 1024
	batchTime    = 25 * time.Millisecond
)

// lane carries out what concerns one eswitch, one batch at a time, removals first. A
// Remove cancels an Install that waits. Its queues are bounded by the number of sessions.
type lane struct {
	*rules

	mu       sync.Mutex
	installs map[flows.SessionID]engine.Install
	order    []flows.SessionID // of installs; those that were cancelled are passed over
	removes  []engine.Remove
	since    time.Time // when the batch in progress was begun; zero: there is none
	chunk    int       // sessions to install at a time
	wake     chan struct{}
}

func newLane(r *rules) *lane {
	return &lane{rules: r, installs: make(map[flows.SessionID]engine.Install), chunk: installChunk, wake: make(chan struct{}, 1)}
}

func (l *lane) install(e engine.Install) {
	l.mu.Lock()
	l.installs[e.Session] = e
	l.order = append(l.order, e.Session)
	l.mu.Unlock()
	signal(l.wake)
}

func (l *lane) remove(e engine.Remove) {
	l.mu.Lock()
	delete(l.installs, e.Session)
	l.removes = append(l.removes, e)
	l.mu.Unlock()
	signal(l.wake)
}

// next returns either removals, or, if there are none, installations.
func (l *lane) next() (removes []engine.Remove, installs []engine.Install) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		l.since = time.Time{}
		if len(removes)+len(installs) > 0 {
			l.since = time.Now()
		}
	}()
	if len(l.removes) > 0 {
		n := min(len(l.removes), removeChunk)
		removes, l.removes = l.removes[:n:n], l.removes[n:]
		return removes, nil
	}
	for len(l.order) > 0 && len(installs) < l.chunk {
		id := l.order[0]
		l.order = l.order[1:]
		if e, ok := l.installs[id]; ok {
			delete(l.installs, id)
			installs = append(installs, e)
		}
	}
	return nil, installs
}

// took adapts the next batch to how long one of n sessions took.
func (l *lane) took(d time.Duration, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case d > batchTime:
		l.chunk = max(1, n/2)
	case n == l.chunk && d < batchTime/2:
		l.chunk = min(2*l.chunk, installChunk)
	}
}

// busy returns for how long the kernel has had the batch in progress.
func (l *lane) busy() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return 0
	}
	return time.Since(l.since)
}

func (l *lane) run(ctx context.Context) {
	for {
		removes, installs := l.next()
		switch {
		case len(removes) > 0:
			l.removeAll(ctx, removes)
		case len(installs) > 0:
			began := time.Now()
			l.installAll(ctx, installs)
			l.took(time.Since(began), len(installs))
		default:
			select {
			case <-l.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}
