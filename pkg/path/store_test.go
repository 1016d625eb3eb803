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
	from  origin
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
				if k.from.port == gone || k.from.by == gone {
					delete(m, k)
				}
			}
		}
		if random.IntN(200) == 0 {
			port, value := flows.PortID(random.IntN(6)), random.IntN(5)
			s.forget(port, func(key, v int) bool { return v == value && key > 10 })
			maps.DeleteFunc(m, func(k modelKey, _ flows.Instant) bool { return k.from.port == port && k.value == value && k.key > 10 })
		}
		from := origin{flows.PortID(random.IntN(6)), flows.PortID(random.IntN(6))}
		if random.IntN(2) == 0 {
			from.by = from.port
		}
		k := modelKey{random.IntN(30), from, random.IntN(5)}
		at := flows.Instant(step)
		s.add(k.key, k.from, k.value, at)
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
	for i := s.first(k.key); i != none; i = s.items[i].same {
		if it := s.items[i]; it.from == k.from && it.value == k.value && it.last == at {
			return true
		}
	}
	return false
}

func checkStore(t *testing.T, s *store[int, int], bound, each int) {
	t.Helper()
	total := 0
	perKey := make(map[modelKey]int)
	saw := make(map[flows.PortID]int)
	for from, list := range s.lists {
		n, last, newer := 0, flows.Instant(1<<62), int32(none)
		for i := list.newest; i != none; i = s.items[i].older {
			it := s.items[i]
			if it.from != from || it.newer != newer || it.last > last {
				t.Fatalf("%v: item %d is out of order: %+v", from, i, it)
			}
			newer, last = i, it.last
			perKey[modelKey{key: it.key, from: from}]++
			n++
		}
		if n != list.count || list.oldest != newer {
			t.Fatalf("%v: %d items, counted %d", from, n, list.count)
		}
		total += n
		if n > 0 {
			saw[from.by] += n
		}
	}
	if !maps.Equal(saw, s.saw) {
		t.Fatalf("%v are counted by who saw them, want %v", s.saw, saw)
	}
	if total > bound || total != s.len() || len(s.items) > bound {
		t.Fatalf("%d items in lists, %d in all, %d allowed", total, s.len(), bound)
	}
	for k, n := range perKey {
		if n > each {
			t.Fatalf("%d values of key %d at %v", n, k.key, k.from)
		}
	}
}

func TestLookupSince(t *testing.T) {
	s := newStore[int, int](10, 4)
	s.add(1, origin{1, 1}, 7, 100)
	s.add(1, origin{2, 2}, 8, 200)
	s.add(1, origin{2, 2}, 8, 150) // late, not older than what is known
	if got := s.lookup(nil, 1, 200); len(got) != 1 || got[0] != (found[int]{port: 2, value: 8, last: 200}) {
		t.Errorf("%+v", got)
	}
}

// TestFloodByATunnel: who floods the store as another port's loses what it saw itself, and
// not what others saw of that port.
func TestFloodByATunnel(t *testing.T) {
	const tunnel, uplink, guest = 1, 2, 3
	s := newStore[int, int](10, 2)
	for key := range 4 {
		s.add(key, origin{tunnel, uplink}, 0, flows.Instant(key))
	}
	for i := range 100 {
		s.add(i%20, origin{tunnel, guest}, i, flows.Instant(100+i))
	}
	for key := range 4 {
		if !holds(s, modelKey{key, origin{tunnel, uplink}, 0}, flows.Instant(key)) {
			t.Errorf("%d was pushed out", key)
		}
	}
	s.add(3, origin{tunnel, guest}, 0, 500)
	seen := 0
	for _, f := range s.lookup(nil, 3, 0) {
		if f.port == tunnel && f.value == 0 {
			seen++
			if f.last != 500 {
				t.Errorf("seen last at %d", f.last)
			}
		}
	}
	if seen != 1 {
		t.Errorf("one value is told %d times", seen)
	}
}
