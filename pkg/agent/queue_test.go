package agent

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

func TestQueueKeepsOrder(t *testing.T) {
	q := newQueue[int]()
	q.put()
	q.put(1, 2)
	q.put(3)
	if n := q.len(); n != 3 {
		t.Errorf("length %d", n)
	}
	if got := q.take(t.Context()); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("took %v", got)
	}
	if got := q.tryTake(); len(got) != 0 {
		t.Errorf("then %v", got)
	}
}

// Whoever waits is woken by the first item, and by the end of its context.
func TestQueueTakeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[int]()
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan []int)
		go func() {
			for {
				items := q.take(ctx)
				got <- items
				if items == nil {
					return
				}
			}
		}()
		synctest.Wait()
		q.put(7)
		if items := <-got; !slices.Equal(items, []int{7}) {
			t.Errorf("took %v", items)
		}
		cancel()
		if items := <-got; items != nil {
			t.Errorf("took %v at the end", items)
		}
	})
}

func TestQueueConcurrently(t *testing.T) {
	q := newQueue[int]()
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 1000 {
				q.put(w*1000 + i)
			}
		})
	}
	seen := make(map[int]bool)
	for len(seen) < 8000 {
		for _, i := range q.take(t.Context()) {
			if seen[i] {
				t.Fatalf("%d twice", i)
			}
			seen[i] = true
		}
	}
	writers.Wait()
}
