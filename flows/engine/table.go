package engine

import (
	"cmp"

	"github.com/flowshunt/flowshunt/flows"
)

// table holds the followed entries. Entries whose tuples are equal or the reverse
// of each other, in whatever zones, form one list, because only ports, and never
// the tuple alone, tell which of them are the same connection. One whose zone translates
// stands in a second list too, by its reply direction.
type table struct {
	heads map[flows.Tuple]*entry
	far   map[flows.Tuple]*entry
	size  int
}

func newTable() table {
	return table{heads: make(map[flows.Tuple]*entry), far: make(map[flows.Tuple]*entry)}
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
	if far, ok := e.farKey(); ok {
		e.nat.next = t.far[far]
		t.far[far] = e
	}
}

// farKey returns under what an entry stands in the second list, if it does.
func (e *entry) farKey() (flows.Tuple, bool) {
	if e.nat == nil || !e.nat.reply.IsValid() {
		return flows.Tuple{}, false
	}
	k := orientationless(e.nat.reply)
	return k, k != orientationless(e.key.Tuple)
}

func (t *table) remove(gone *entry) {
	if cut(t.heads, orientationless(gone.key.Tuple), gone, func(e *entry) **entry { return &e.next }) {
		t.size--
	}
	if far, ok := gone.farKey(); ok {
		cut(t.far, far, gone, func(e *entry) **entry { return &e.nat.next })
	}
}

// cut takes an entry out of a list that is linked by next, if it is there.
func cut(heads map[flows.Tuple]*entry, k flows.Tuple, gone *entry, next func(*entry) **entry) bool {
	head := heads[k]
	if head == gone {
		if heads[k] = *next(gone); heads[k] == nil {
			delete(heads, k)
		}
		return head != nil
	}
	for e := head; e != nil; e = *next(e) {
		if *next(e) == gone {
			*next(e) = *next(gone)
			return true
		}
	}
	return false
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
