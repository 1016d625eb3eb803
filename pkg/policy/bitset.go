package policy

import (
	"encoding/binary"
	"slices"
)

// bitset is a set of items of a list: policies, or profiles. Sets that were built are never
// changed; those of one list have the same length.
type bitset []uint64

func (b bitset) add(i int)    { b[i/64] |= 1 << (i % 64) }
func (b bitset) remove(i int) { b[i/64] &^= 1 << (i % 64) }

// or returns the union.
func (b bitset) or(o bitset) bitset {
	u := slices.Clone(b)
	for i := range u {
		u[i] |= o[i]
	}
	return u
}

// without returns the items of b that are not in o.
func (b bitset) without(o bitset) bitset {
	d := slices.Clone(b)
	for i := range d {
		d[i] &^= o[i]
	}
	return d
}

// builder makes the sets of one list, and keeps equal ones once.
type builder struct {
	count int
	kept  map[string]bitset
	key   []byte
}

func newBuilder(count int) *builder { return &builder{count: count, kept: map[string]bitset{}} }

func (b *builder) none() bitset { return make(bitset, (b.count+63)/64) }

// where returns the items for which is says so.
func (b *builder) where(is func(i int) bool) bitset {
	set := b.none()
	for i := range b.count {
		if is(i) {
			set.add(i)
		}
	}
	return b.keep(set)
}

// keep returns a set that is equal to set and no copy of one that is there. It may keep set
// itself: see fix for what changes afterwards.
func (b *builder) keep(set bitset) bitset {
	b.key = b.key[:0]
	for _, w := range set {
		b.key = binary.NativeEndian.AppendUint64(b.key, w)
	}
	if old, ok := b.kept[string(b.key)]; ok {
		return old
	}
	b.kept[string(b.key)] = set
	return set
}

// fix is keep for a set that goes on changing.
func (b *builder) fix(set bitset) bitset {
	if kept := b.keep(set); len(kept) == 0 || &kept[0] != &set[0] {
		return kept
	}
	copied := slices.Clone(set)
	b.kept[string(b.key)] = copied
	return copied
}
