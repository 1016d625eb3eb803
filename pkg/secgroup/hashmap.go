package secgroup

import "hash/maphash"

// hashMap is a map of which a changed copy shares all parts that were not changed. It is
// never changed itself. Most of what it is asked for takes one access to memory.
type hashMap[K comparable, V any] struct {
	seed  maphash.Seed
	hash  func(maphash.Seed, K) uint64
	parts [256]part[K, V] // by the first byte of the hash
}

// part is a hash table with open addressing, two thirds of it full.
type part[K comparable, V any] []item[K, V]

type item[K comparable, V any] struct {
	hash  uint64 // 0: free
	key   K
	value V
}

func newHashMap[K comparable, V any](hash func(maphash.Seed, K) uint64) *hashMap[K, V] {
	return &hashMap[K, V]{seed: maphash.MakeSeed(), hash: hash}
}

func (m *hashMap[K, V]) hashOf(k K) uint64 { return m.hash(m.seed, k) | 1 }

// get returns what is at k, which nobody may change; nil: nothing.
func (m *hashMap[K, V]) get(k K) *V {
	h := m.hashOf(k)
	p := m.parts[h>>56]
	if len(p) == 0 {
		return nil
	}
	if i := p.item(h, k); i.hash != 0 {
		return &i.value
	}
	return nil
}

// item returns where k is, or would be.
func (p part[K, V]) item(hash uint64, k K) *item[K, V] {
	for n := homeOf(uint32(hash>>24), len(p)); ; n++ {
		if n == len(p) {
			n = 0
		}
		if i := &p[n]; i.hash == 0 || i.hash == hash && i.key == k {
			return i
		}
	}
}

// with returns a copy with other values; what gets a nil one leaves.
func (m *hashMap[K, V]) with(edits map[K]*V) *hashMap[K, V] {
	if len(edits) == 0 {
		return m
	}
	out := *m
	var changed [len(m.parts)][]item[K, V]
	for k, v := range edits {
		i := item[K, V]{hash: m.hashOf(k), key: k}
		if v != nil {
			i.value = *v
		}
		changed[i.hash>>56] = append(changed[i.hash>>56], i)
	}
	for n, list := range changed {
		if len(list) > 0 {
			out.parts[n] = m.parts[n].with(list, edits)
		}
	}
	return &out
}

// with returns a copy with those items of list that edits have a value for, and without all
// others that edits name.
func (p part[K, V]) with(list []item[K, V], edits map[K]*V) part[K, V] {
	kept := make([]item[K, V], 0, len(p)/2+len(list))
	for _, i := range p {
		if _, changed := edits[i.key]; i.hash != 0 && !changed {
			kept = append(kept, i)
		}
	}
	for _, i := range list {
		if edits[i.key] != nil {
			kept = append(kept, i)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	out := make(part[K, V], slotsFor(len(kept)))
	for _, i := range kept {
		*out.item(i.hash, i.key) = i
	}
	return out
}

// slotsFor returns how large a hash table of n is best: two thirds full, because what is not
// in a cache costs more than to look at its neighbour.
func slotsFor(n int) int { return n + n/2 + 1 }

// homeOf returns which of size slots is the first to look at.
func homeOf(hash uint32, size int) int { return int(uint64(hash) * uint64(size) >> 32) }
