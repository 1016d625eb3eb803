package path

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// model is the store without its lists: what it must hold, slowly.
type model map[modelKey]flows.Instant

type modelKey struct {
	key   int
	port  flows.PortID
	value int
}

// Random work leaves the lists of the store whole and its bounds kept, and loses
// nothing while there is room.
func TestStoreRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const bound, each = 64, 3
	s := newStore[int, int](bound, each)
	m := make(model)
	for step := range 10_000 {
		if random.IntN(500) == 0 {
			gone := flows.PortID(random.IntN(6))
			s.retain(func(p flows.PortID) bool { return p != gone })
			for k := range m {
				if k.port == gone {
					delete(m, k)
				}
			}
		}
		if random.IntN(200) == 0 {
			port, value := flows.PortID(random.IntN(6)), random.IntN(5)
			s.forget(port, func(key, v int) bool { return v == value && key > 10 })
			maps.DeleteFunc(m, func(k modelKey, _ flows.Instant) bool { return k.port == port && k.value == value && k.key > 10 })
		}
		k := modelKey{random.IntN(30), flows.PortID(random.IntN(6)), random.IntN(5)}
		at := flows.Instant(step)
		s.add(k.key, k.port, k.value, at)
		m[k] = at
		checkStore(t, s, bound, each)
		forgotten := 0
		for k := range m {
			if !holds(s, k, m[k]) {
				delete(m, k)
				forgotten++
			}
		}
		if forgotten > 1 {
			t.Fatalf("step %d: one addition pushed out %d", step, forgotten)
		}
		if s.len() != len(m) {
			t.Fatalf("step %d: %d items, want %d", step, s.len(), len(m))
		}
	}
}

func holds(s *store[int, int], k modelKey, at flows.Instant) bool {
	for _, f := range s.lookup(nil, k.key, 0) {
		if f == (found[int]{k.port, k.value, at}) {
			return true
		}
	}
	return false
}

func checkStore(t *testing.T, s *store[int, int], bound, each int) {
	t.Helper()
	total := 0
	perKey := make(map[modelKey]int)
	for port, list := range s.ports {
		n, last, newer := 0, flows.Instant(1<<62), int32(none)
		for i := list.newest; i != none; i = s.items[i].older {
			it := s.items[i]
			if it.port != port || it.newer != newer || it.last > last {
				t.Fatalf("port %d: item %d is out of order: %+v", port, i, it)
			}
			newer, last = i, it.last
			perKey[modelKey{key: it.key, port: port}]++
			n++
		}
		if n != list.count || list.oldest != newer {
			t.Fatalf("port %d: %d items, counted %d", port, n, list.count)
		}
		total += n
	}
	if total > bound || total != s.len() || len(s.items) > bound {
		t.Fatalf("%d items in lists, %d in all, %d allowed", total, s.len(), bound)
	}
	for k, n := range perKey {
		if n > each {
			t.Fatalf("%d values of key %d at port %d", n, k.key, k.port)
		}
	}
}

func TestLookupSince(t *testing.T) {
	s := newStore[int, int](10, 4)
	s.add(1, 1, 7, 100)
	s.add(1, 2, 8, 200)
	s.add(1, 2, 8, 150) // late, not older than what is known
	if got := s.lookup(nil, 1, 200); len(got) != 1 || got[0] != (found[int]{2, 8, 200}) {
		t.Errorf("%+v", got)
	}
}
