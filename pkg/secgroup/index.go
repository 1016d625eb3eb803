package secgroup

// index finds buckets by the number of a set of addresses: a hash table with open
// addressing, at most half full, because a Go map costs a lookup three times as much. It is
// never changed. Nil is empty.
type index struct {
	slots []slot // a power of two of them, or none
	shift uint8  // of a hash, to have the number of its slot
	n     int
}

type slot struct {
	set    setNo
	bucket *bucket // nil: free
}

func (x *index) at(s setNo) int { return int(uint32(s) * 0x9e3779b1 >> x.shift) }

// get returns the bucket of s, or nil.
func (x *index) get(s setNo) *bucket {
	if x == nil {
		return nil
	}
	for i := x.at(s); ; i++ {
		e := &x.slots[i&(len(x.slots)-1)]
		if e.bucket == nil || e.set == s {
			return e.bucket
		}
	}
}

// with returns an index with other buckets; a nil one leaves.
func (x *index) with(edits map[setNo]*bucket) *index {
	if x == nil {
		x = new(index)
	}
	room, shift := 4, uint8(30)
	for room < 2*(x.n+len(edits)) {
		room, shift = room*2, shift-1
	}
	out := &index{slots: make([]slot, room), shift: shift}
	for _, e := range x.slots {
		if _, changed := edits[e.set]; e.bucket != nil && !changed {
			out.put(e)
		}
	}
	for s, b := range edits {
		if b != nil {
			out.put(slot{s, b})
		}
	}
	if out.n == 0 {
		return nil
	}
	return out
}

func (x *index) put(e slot) {
	i := x.at(e.set)
	for ; x.slots[i&(len(x.slots)-1)].bucket != nil; i++ {
	}
	x.slots[i&(len(x.slots)-1)] = e
	x.n++
}
