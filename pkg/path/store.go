package path

import (
	"sync"

	"github.com/flowshunt/flowshunt/flows"
)

// store remembers which values each key had at which ports and when last. It is
// bounded in a way that nobody can push out what others said: when it is full,
// the oldest item goes that was seen by the port that saw most of them; and of what one
// port saw, only a few values of one key are kept. Methods may be called concurrently.
type store[K, V comparable] struct {
	max     int // items
	maxEach int // values of one key of one origin

	mu    sync.Mutex
	items []item[K, V]
	free  []int32
	keys  map[K]int32 // first item of the key
	lists map[origin]*originList
	saw   map[flows.PortID]int // items by the port that saw them; never 0
}

// origin is where a packet came in: at a port, as another may have seen. What comes in by
// a tunnel is seen at ports of the underlay, which answer for how much there is of it.
type origin struct{ port, by flows.PortID }

type item[K, V comparable] struct {
	key          K
	value        V
	from         origin
	last         flows.Instant
	code         flows.DSCP
	same         int32 // next item of the key
	newer, older int32 // neighbours in the list of the origin
}

// originList holds the items of one origin in the order of their age.
type originList struct {
	newest, oldest int32
	count          int
}

// none is no item.
const none = -1

// found is one value of a key at a port, whoever saw it.
type found[V comparable] struct {
	port  flows.PortID
	value V
	code  flows.DSCP
	last  flows.Instant
}

func newStore[K, V comparable](max, maxEach int) *store[K, V] {
	return &store[K, V]{max: max, maxEach: maxEach,
		keys: make(map[K]int32), lists: make(map[origin]*originList), saw: make(map[flows.PortID]int)}
}

// add remembers that key had value at a time.
func (s *store[K, V]) add(key K, from origin, value V, at flows.Instant) {
	s.addCoded(key, from, value, 0, at)
}

// addCoded remembers the code of a value, too: of several, that which was told last.
func (s *store[K, V]) addCoded(key K, from origin, value V, code flows.DSCP, at flows.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	each, oldest := 0, int32(none)
	for i := s.first(key); i != none; i = s.items[i].same {
		it := &s.items[i]
		if it.from != from {
			continue
		}
		if it.value == value {
			if at >= it.last {
				it.code = code
			}
			it.last = max(it.last, at)
			s.unlink(i)
			s.link(i)
			return
		}
		each++
		if oldest == none || it.last < s.items[oldest].last {
			oldest = i
		}
	}
	if each >= s.maxEach {
		s.remove(oldest)
	} else if len(s.items)-len(s.free) >= s.max {
		s.evict()
	}
	s.insert(item[K, V]{key: key, value: value, from: from, code: code, last: at})
}

// lookup appends the items of key that are not older than since.
func (s *store[K, V]) lookup(into []found[V], key K, since flows.Instant) []found[V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := s.first(key); i != none; i = s.items[i].same {
		if it := &s.items[i]; it.last >= since {
			into = note(into, found[V]{it.from.port, it.value, it.code, it.last})
		}
	}
	return into
}

// note adds what was found, unless that was found already, as another port saw it.
func note[V comparable](into []found[V], f found[V]) []found[V] {
	for i := range into {
		if known := &into[i]; known.port == f.port && known.value == f.value {
			if f.last >= known.last {
				known.code, known.last = f.code, f.last
			}
			return into
		}
	}
	return append(into, f)
}

// retain forgets what came in at, or was seen by, any port but those that keep names.
func (s *store[K, V]) retain(keep func(flows.PortID) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for from, list := range s.lists {
		if keep(from.port) && keep(from.by) {
			continue
		}
		for i := list.oldest; i != none; i = list.oldest {
			s.remove(i)
		}
		delete(s.lists, from)
	}
}

// forget forgets those items of a port that match.
func (s *store[K, V]) forget(port flows.PortID, match func(K, V) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for from, list := range s.lists {
		if from.port != port {
			continue
		}
		for i := list.oldest; i != none; {
			at, it := i, &s.items[i]
			if i = it.newer; match(it.key, it.value) {
				s.remove(at)
			}
		}
	}
}

// drop forgets what an origin said of a key.
func (s *store[K, V]) drop(key K, from origin) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := s.first(key); i != none; {
		at, it := i, &s.items[i]
		if i = it.same; it.from == from {
			s.remove(at)
		}
	}
}

func (s *store[K, V]) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.items) - len(s.free)
}

func (s *store[K, V]) first(key K) int32 {
	if i, ok := s.keys[key]; ok {
		return i
	}
	return none
}

func (s *store[K, V]) insert(it item[K, V]) {
	it.same = s.first(it.key)
	var i int32
	if n := len(s.free); n > 0 {
		i, s.free = s.free[n-1], s.free[:n-1]
		s.items[i] = it
	} else {
		i = int32(len(s.items))
		s.items = append(s.items, it)
	}
	s.keys[it.key] = i
	s.link(i)
}

func (s *store[K, V]) evict() {
	var fullest flows.PortID
	for by, n := range s.saw {
		if n > s.saw[fullest] {
			fullest = by
		}
	}
	oldest := int32(none)
	for from, list := range s.lists {
		if from.by == fullest && list.oldest != none && (oldest == none || s.items[list.oldest].last < s.items[oldest].last) {
			oldest = list.oldest
		}
	}
	s.remove(oldest)
}

func (s *store[K, V]) remove(i int32) {
	s.unlink(i)
	key, same := s.items[i].key, s.items[i].same
	if first := s.keys[key]; first != i {
		for s.items[first].same != i {
			first = s.items[first].same
		}
		s.items[first].same = same
	} else if same != none {
		s.keys[key] = same
	} else {
		delete(s.keys, key)
	}
	s.items[i] = item[K, V]{}
	s.free = append(s.free, i)
}

// link makes item i the newest of its origin.
func (s *store[K, V]) link(i int32) {
	it := &s.items[i]
	list := s.lists[it.from]
	if list == nil {
		list = &originList{newest: none, oldest: none}
		s.lists[it.from] = list
	}
	it.newer, it.older = none, list.newest
	if list.newest != none {
		s.items[list.newest].newer = i
	} else {
		list.oldest = i
	}
	list.newest = i
	list.count++
	s.saw[it.from.by]++
}

func (s *store[K, V]) unlink(i int32) {
	it := &s.items[i]
	list := s.lists[it.from]
	if it.newer != none {
		s.items[it.newer].older = it.older
	} else {
		list.newest = it.older
	}
	if it.older != none {
		s.items[it.older].newer = it.newer
	} else {
		list.oldest = it.newer
	}
	list.count--
	if s.saw[it.from.by]--; s.saw[it.from.by] == 0 {
		delete(s.saw, it.from.by)
	}
}
