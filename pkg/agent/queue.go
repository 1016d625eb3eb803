package agent

import (
	"context"
	"sync"
)

// queue hands items from one goroutine to another without ever blocking the
// first, who takes what is there all at once. What bounds its length is said where
// one is used.
type queue[T any] struct {
	mu    sync.Mutex
	items []T
	wake  chan struct{}
}

func newQueue[T any]() *queue[T] { return &queue[T]{wake: make(chan struct{}, 1)} }

func (q *queue[T]) put(items ...T) {
	if len(items) == 0 {
		return
	}
	q.mu.Lock()
	q.items = append(q.items, items...)
	q.mu.Unlock()
	signal(q.wake)
}

// tryTake returns what is there, maybe nothing.
func (q *queue[T]) tryTake() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = nil
	return items
}

// take waits until something is there; nil means that ctx has ended.
func (q *queue[T]) take(ctx context.Context) []T {
	for {
		if items := q.tryTake(); len(items) > 0 {
			return items
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

func (q *queue[T]) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// signal leaves a value in a channel with room for one, unless one waits already.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
