package engine

import (
	"cmp"

	"github.com/flowshunt/flowshunt/flows"
)

// table holds the followed entries. Entries whose tuples are equal or the reverse
// of each other, in whatever zones, form one list, because only ports, and never
// the tuple alone, tell which of them are the same connection.
type table struct {
	heads map[flows.Tuple]*entry
	size  int
}

// orientationless returns the same tuple for both directions.
func orientationless(t flows.Tuple) flows.Tuple {
	order := t.Src.Compare(t.Dst)
	if order == 0 {
		order = cmp.Compare(t.SrcPort, t.DstPort)
	}
	if order > 0 {
		return t.Reverse()
	}
	return t
}

// group returns the first entry of a tuple's list.
func (t *table) group(tuple flows.Tuple) *entry { return t.heads[orientationless(tuple)] }

func (t *table) get(key flows.EntryKey) *entry {
	for e := t.group(key.Tuple); e != nil; e = e.next {
		if e.key == key {
			return e
		}
	}
	return nil
}

func (t *table) add(e *entry) {
	k := orientationless(e.key.Tuple)
	e.next = t.heads[k]
	t.heads[k] = e
	t.size++
}

func (t *table) remove(gone *entry) {
	k := orientationless(gone.key.Tuple)
	head := t.heads[k]
	if head == gone {
		if gone.next == nil {
			delete(t.heads, k)
		} else {
			t.heads[k] = gone.next
		}
		t.size--
		return
	}
	for e := head; e != nil; e = e.next {
		if e.next == gone {
			e.next = gone.next
			t.size--
			return
		}
	}
}

// all yields every entry, in no order. The one that was yielded may be removed.
func (t *table) all() func(func(*entry) bool) {
	return func(yield func(*entry) bool) {
		for _, head := range t.heads {
			for e := head; e != nil; {
				next := e.next
				if !yield(e) {
					return
				}
				e = next
			}
		}
	}
}
