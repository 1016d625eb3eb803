package control

import (
	"cmp"
	"container/heap"
	"iter"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// Sort is an order of sessions. Ties, and the zero value, go by tuple, zones
// and id, so that an answer does not depend on the order of a map.
type Sort uint8

// The orders; each shows first what matters most.
const (
	SortRate  Sort = iota + 1 // fastest first
	SortBytes                 // most bytes first
	SortAge                   // longest in its state first
)

var sortNames = []string{"rate", "bytes", "age"}

// String returns the lower-case name.
func (s Sort) String() string { return nameOf(s, sortNames...) }

// ParseSort reads a name as String writes it.
func ParseSort(s string) (Sort, error) { return parseName[Sort]("order", s, sortNames) }

// compare is negative if a comes before b.
func (s Sort) compare(a, b *Session) int {
	var by int
	switch s {
	case SortRate:
		by = cmp.Compare(b.Rate, a.Rate)
	case SortBytes:
		by = cmp.Compare(b.Bytes(), a.Bytes())
	case SortAge:
		by = a.Since.Compare(b.Since)
	}
	return cmp.Or(by, compareTuples(a.Tuple, b.Tuple),
		slices.Compare(a.Zones, b.Zones), cmp.Compare(a.ID, b.ID))
}

func compareTuples(a, b flows.Tuple) int {
	return cmp.Or(cmp.Compare(a.Proto, b.Proto),
		a.Src.Compare(b.Src), cmp.Compare(a.SrcPort, b.SrcPort),
		a.Dst.Compare(b.Dst), cmp.Compare(a.DstPort, b.DstPort))
}

// pick returns the first limit sessions that pass f, in its order, and how many
// passed. It holds no more than limit of them at any time.
func pick(seq iter.Seq[Session], f *Filter, limit int) ([]Session, uint64) {
	h := worstFirst{order: f.Sort}
	var matched uint64
	for s := range seq {
		if !f.Match(&s) {
			continue
		}
		matched++
		switch {
		case len(h.list) < limit:
			heap.Push(&h, s)
		case limit > 0 && f.Sort.compare(&s, &h.list[0]) < 0:
			h.list[0] = s
			heap.Fix(&h, 0)
		}
	}
	slices.SortFunc(h.list, func(a, b Session) int { return f.Sort.compare(&a, &b) })
	return h.list, matched
}

// worstFirst is a heap whose root is the session to give up next.
type worstFirst struct {
	list  []Session
	order Sort
}

func (h *worstFirst) Len() int           { return len(h.list) }
func (h *worstFirst) Less(i, j int) bool { return h.order.compare(&h.list[i], &h.list[j]) > 0 }
func (h *worstFirst) Swap(i, j int)      { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *worstFirst) Push(x any)         { h.list = append(h.list, x.(Session)) }
func (h *worstFirst) Pop() any {
	last := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	return last
}
