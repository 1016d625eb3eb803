package secgroup

import (
	"maps"
	"math/bits"
	"slices"
)

// index finds buckets by the numbers of sets of addresses, 64 at a time. It is never
// changed. Nil is empty.
type index struct {
	limit rank  // of all buckets
	shift uint8 // of a hash, to have the number of its slot
	// filter has a bit for each number modulo 512 that has a bucket: most that are asked for
	// have none, and this spares to look.
	filter [8]uint64
	// slots is a hash table of words with open addressing, a power of two in size and at
	// most half full: a Go map costs a lookup three times as much.
	slots []slot
	cells []cell
	sets  []setNo // of cells; in order
}

// cell is a bucket and between which keys it can match at all: most need not be read.
type cell struct {
	lo, hi uint32
	*bucket
}

// slot is those sets of a word that have cells, which stand one after the other.
type slot struct {
	word         // no bits: free
	first uint32 // cell
}

// slot returns where a word is, or would be.
func (x *index) slot(no uint32) *slot {
	for i := int(no * 0x9e3779b1 >> x.shift); ; i++ {
		if s := &x.slots[i&(len(x.slots)-1)]; s.bits == 0 || s.no == no {
			return s
		}
	}
}

// mayHave reports whether there may be a bucket for one of w.
func (x *index) mayHave(w word) bool { return x.filter[w.no%8]&w.bits != 0 }

// get returns the bucket of one set, or nil.
func (x *index) get(n setNo) *bucket {
	if x == nil {
		return nil
	}
	if i, ok := slices.BinarySearch(x.sets, n); ok {
		return x.cells[i].bucket
	}
	return nil
}

// with returns an index with other buckets; a nil one leaves.
func (x *index) with(edits map[setNo]*bucket) *index {
	if x == nil {
		x = new(index)
	}
	out := &index{
		cells: make([]cell, 0, len(x.cells)+len(edits)),
		sets:  make([]setNo, 0, len(x.cells)+len(edits)),
	}
	next := slices.Sorted(maps.Keys(edits))
	for i, n := range x.sets {
		for len(next) > 0 && next[0] < n {
			out.add(next[0], edits[next[0]])
			next = next[1:]
		}
		if len(next) == 0 || next[0] != n {
			out.add(n, x.cells[i].bucket)
		}
	}
	for _, n := range next {
		out.add(n, edits[n])
	}
	if len(out.cells) == 0 {
		return nil
	}
	out.hash()
	return out
}

// add appends a bucket, unless it is nil.
func (x *index) add(n setNo, b *bucket) {
	if b != nil {
		lo, hi := b.keys()
		x.sets, x.cells = append(x.sets, n), append(x.cells, cell{lo, hi, b})
		x.limit = max(x.limit, b.limit)
	}
}

// hash fills slots.
func (x *index) hash() {
	words := 1
	for i := 1; i < len(x.sets); i++ {
		if x.sets[i].word() != x.sets[i-1].word() {
			words++
		}
	}
	order := bits.Len(uint(2*words - 1))
	x.slots, x.shift = make([]slot, 1<<order), uint8(32-order)
	for i, n := range x.sets {
		s := x.slot(n.word())
		if s.bits == 0 {
			s.no, s.first = n.word(), uint32(i)
		}
		s.bits |= n.bit()
		x.filter[s.no%8] |= n.bit()
	}
}
