package secgroup

// index finds buckets by the numbers of sets of addresses. It is never changed. The zero
// value is empty.
type index struct {
	limit rank   // of all buckets
	n     uint32 // buckets
	// filter has a bit for each number modulo 512 that has a bucket: most that are asked for
	// have none, and this spares to look, for 32 numbers at a time.
	filter [16]uint32
	// slots is a hash table with open addressing, at most two thirds of it full: a Go map
	// costs a lookup three times as much.
	slots []slot
}

// slot is a bucket, nil: free, and what it can match at all: most need not be read.
type slot struct {
	set    setNo
	limit  rank // no match of the bucket is over it
	blocks blocks
	*bucket
}

func newSlot(n setNo, b *bucket) slot {
	if b == nil {
		return slot{}
	}
	return slot{n, b.limit(), b.blocks(), b}
}

// maybe returns those numbers of w for which there may be buckets.
func (x *index) maybe(w word) uint32 { return x.filter[w.no%16] & w.bits }

// slot returns where the bucket of a set is, or would be.
func (x *index) slot(n setNo) *slot {
	for i := homeOf(uint32(n)*0x9e3779b1, len(x.slots)); ; i++ {
		if i == len(x.slots) {
			i = 0
		}
		if s := &x.slots[i]; s.bucket == nil || s.set == n {
			return s
		}
	}
}

// get returns the bucket of one set, or nil.
func (x *index) get(n setNo) *bucket {
	if x.n == 0 {
		return nil
	}
	return x.slot(n).bucket
}

// with returns an index with other buckets; a nil one leaves.
func (x *index) with(edits map[setNo]*bucket) (out index) {
	out = index{slots: make([]slot, slotsFor(int(x.n)+len(edits)))}
	for _, s := range x.slots {
		if _, changed := edits[s.set]; s.bucket != nil && !changed {
			out.add(s)
		}
	}
	for n, b := range edits {
		if b != nil {
			out.add(newSlot(n, b))
		}
	}
	if out.n == 0 {
		return index{}
	}
	return out
}

func (x *index) add(s slot) {
	*x.slot(s.set) = s
	x.n++
	x.limit = max(x.limit, s.limit)
	x.filter[s.set.word()%16] |= s.set.bit()
}
