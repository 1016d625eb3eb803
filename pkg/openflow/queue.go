package openflow

import "sync"

// queue holds what the handler has not been told. It is bounded: past max
// changes they become one loss. Only one goroutine puts and one takes.
type queue struct {
	max   int
	ready chan struct{} // holds one token while there is something to take

	mu       sync.Mutex
	watching bool  // changes are complete from here on
	lost     error // told before anything else
	changes  []Change
	end      error // the connection's; told last
}

// batch is what the handler is told next, in the order of the fields.
type batch struct {
	lost     error
	watching bool // became, or became again, since the last batch
	changes  []Change
	end      error
}

func newQueue(size int) *queue { return &queue{max: size, ready: make(chan struct{}, 1)} }

// watch says that from here on no change is missing.
func (q *queue) watch() { q.put(func() { q.watching = true }) }

// lose says that changes are missing, until watch is called.
func (q *queue) lose(err error) {
	q.put(func() {
		q.setLost(err)
		q.watching = false
	})
}

// add adds changes. While blind there is nobody to tell: all is in doubt.
func (q *queue) add(changes []Change) {
	if len(changes) == 0 {
		return
	}
	q.put(func() {
		switch {
		case !q.watching:
		case len(q.changes)+len(changes) > q.max:
			q.setLost(ErrOverrun)
		default:
			q.changes = append(q.changes, changes...)
		}
	})
}

// close says that nothing more will come.
func (q *queue) close(err error) {
	q.put(func() {
		q.end = err
		q.changes = nil
	})
}

// setLost keeps the first reason: it is what the others follow from.
func (q *queue) setLost(err error) {
	if q.lost == nil {
		q.lost = err
	}
	q.changes = nil
}

func (q *queue) put(f func()) {
	q.mu.Lock()
	f()
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take empties the queue. was says whether the handler believes to be watching.
func (q *queue) take(was bool) batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := batch{changes: q.changes, end: q.end}
	if was {
		b.lost = q.lost
	}
	b.watching = q.watching && (!was || b.lost != nil)
	q.lost, q.changes = nil, nil
	return b
}
