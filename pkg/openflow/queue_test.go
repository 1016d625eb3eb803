package openflow

import (
	"errors"
	"testing"
)

var errTest = errors.New("test")

// TestQueueBlind adds while blind: neither now nor later is that told.
func TestQueueBlind(t *testing.T) {
	q := newQueue(10)
	q.add(make([]Change, 1))
	if b := q.take(false); b.watching || b.changes != nil {
		t.Errorf("before watching: %+v", b)
	}
	q.watch()
	q.add(make([]Change, 2))
	if b := q.take(false); !b.watching || len(b.changes) != 2 {
		t.Errorf("watching: %+v", b)
	}
	q.lose(errTest)
	q.add(make([]Change, 3))
	if b := q.take(true); b.lost != errTest || b.watching || b.changes != nil {
		t.Errorf("lost: %+v", b)
	}
	q.watch()
	q.add(make([]Change, 4))
	if b := q.take(false); b.lost != nil || !b.watching || len(b.changes) != 4 {
		t.Errorf("watching again: %+v", b)
	}
}

// TestQueueReason keeps the first reason, and drops what came before.
func TestQueueReason(t *testing.T) {
	q := newQueue(2)
	q.watch()
	q.take(false)
	q.add(make([]Change, 2))
	q.add(make([]Change, 1))
	q.lose(errTest)
	q.watch()
	q.add(make([]Change, 1))
	if b := q.take(true); b.lost != ErrOverrun || !b.watching || len(b.changes) != 1 {
		t.Errorf("%+v", b)
	}
}
