package openflow

import (
	"context"
	"sync"
	"testing"
	"time"
)

const patience = 20 * time.Second

// told is one call of a handler.
type told struct {
	watching Version // of Watching
	lost     error   // of Lost
	change   *Change // one of Changed
	at       time.Time
}

// recorder is a Handler that keeps what it is told until a test asks.
type recorder struct {
	mu    sync.Mutex
	calls []told
	wake  chan struct{}
}

func newRecorder() *recorder { return &recorder{wake: make(chan struct{}, 1)} }

func (r *recorder) Watching(v Version) { r.put(told{watching: v}) }
func (r *recorder) Lost(err error)     { r.put(told{lost: err}) }
func (r *recorder) Changed(changes []Change) {
	var calls []told
	for i := range changes {
		calls = append(calls, told{change: &changes[i]})
	}
	r.put(calls...)
}

func (r *recorder) put(calls ...told) {
	now := time.Now()
	r.mu.Lock()
	for _, c := range calls {
		c.at = now
		r.calls = append(r.calls, c)
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// next returns the oldest call that was not returned yet.
func (r *recorder) next(t testing.TB) told {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		if len(r.calls) > 0 {
			first := r.calls[0]
			r.calls = r.calls[1:]
			r.mu.Unlock()
			return first
		}
		r.mu.Unlock()
		select {
		case <-r.wake:
		case <-deadline:
			t.Fatalf("told nothing within %v", patience)
		}
	}
}

// change returns the next call, which is a change.
func (r *recorder) change(t testing.TB) Change {
	t.Helper()
	c := r.next(t)
	if c.change == nil {
		t.Fatalf("want a change, was told %+v", c)
	}
	return *c.change
}

// flow returns the next change of a flow; changes of ports may come before it.
func (r *recorder) flow(t testing.TB) Change {
	t.Helper()
	for {
		if c := r.change(t); c.Kind != PortModified {
			return c
		}
	}
}

// watching waits for Watching, which is the next call.
func (r *recorder) watching(t testing.TB) Version {
	t.Helper()
	c := r.next(t)
	if c.watching == 0 {
		t.Fatalf("not watching: %+v", c)
	}
	return c.watching
}

// until skips calls until one satisfies ok.
func (r *recorder) until(t testing.TB, ok func(told) bool) told {
	t.Helper()
	for {
		if c := r.next(t); ok(c) {
			return c
		}
	}
}

func isKind(k Kind) func(told) bool {
	return func(c told) bool { return c.change != nil && c.change.Kind == k }
}

func isLost(c told) bool     { return c.lost != nil }
func isWatching(c told) bool { return c.watching != 0 }

// start runs Watch until the test ends. The channel holds what it returned.
func start(t testing.TB, config Config) (*recorder, <-chan error) {
	t.Helper()
	r := newRecorder()
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { ended <- Watch(ctx, config, r) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return r, ended
}

// startFollow is start with Follow.
func startFollow(t testing.TB, config Config) (*recorder, <-chan error) {
	t.Helper()
	r := newRecorder()
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { ended <- Follow(ctx, config, r) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return r, ended
}
