package ovsdb

import (
	"context"
	"sync"
	"sync/atomic"
)

// news holds the newest snapshot and wakes those who wait for one. There is no
// queue: who is slow reads the newest and misses those between.
type news struct {
	newest atomic.Pointer[Snapshot]

	mu       sync.Mutex
	watchers map[chan struct{}]struct{}
}

// Snapshot returns the newest snapshot. It is never nil; before the first
// connection it is empty.
func (n *news) Snapshot() *Snapshot { return n.newest.Load() }

// Watch returns a channel from which a value can be received whenever there may
// be a newer snapshot than the receiver has read, and once at the beginning.
// Several changes can be one value. The channel is never closed; stop must be
// called when it is no longer read.
func (n *news) Watch() (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	c <- struct{}{}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watchers == nil {
		n.watchers = map[chan struct{}]struct{}{}
	}
	n.watchers[c] = struct{}{}
	return c, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.watchers, c)
	}
}

// Wait returns the first snapshot from now on for which good reports true, or
// the error of ctx and the newest snapshot.
func (n *news) Wait(ctx context.Context, good func(*Snapshot) bool) (*Snapshot, error) {
	changed, stop := n.Watch()
	defer stop()
	for {
		select {
		case <-changed:
			if s := n.Snapshot(); good(s) {
				return s, nil
			}
		case <-ctx.Done():
			return n.Snapshot(), ctx.Err()
		}
	}
}

// publish is called by one goroutine at a time.
func (n *news) publish(s *Snapshot) {
	s.Revision = n.newest.Load().Revision + 1
	n.newest.Store(s)
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.watchers {
		select {
		case c <- struct{}{}:
		default: // it has not read the last one yet
		}
	}
}
