package tap

import (
	"sync"

	"github.com/flowshunt/flowshunt/flows"
)

// Tally estimates how much traffic each tuple has, from packets that were sampled at
// random: each stands for as many as there are in a sample. It is for where nothing
// counts connections one by one. Of n packets that were seen the estimate is off by
// about 1/sqrt(n) (as for sFlow): 10 % after 100.
//
// It is bounded: a tuple that is neither seen nor asked for between two calls of Age
// is forgotten, and when it is full new ones are not counted. Methods may be called
// concurrently; the zero value counts nothing.
type Tally struct {
	Weight uint64 // packets that a sampled one stands for
	Max    int    // tuples

	mu       sync.Mutex
	now, old map[flows.Tuple]flows.Counters
}

// Add counts a packet. One with FIN or RST is not counted, because a tap reports all
// of them; one with SYN alone begins a connection, which has no traffic yet.
func (t *Tally) Add(s *Sighting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case s.TCPFlags&(SYN|FIN|RST) == 0:
	case s.TCPFlags&SYN != 0:
		t.drop(s.Tuple)
		return
	default:
		return
	}
	c, known := t.get(s.Tuple)
	if !known && len(t.now) >= t.Max {
		return
	}
	c.Packets += t.Weight
	c.Bytes += t.Weight * uint64(s.Length)
	t.put(s.Tuple, c)
}

// Get returns the estimate.
func (t *Tally) Get(tuple flows.Tuple) flows.Counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, _ := t.get(tuple)
	return c
}

// Age forgets what was neither seen nor asked for since it was called last.
func (t *Tally) Age() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now, t.old = nil, t.now
}

// get makes a tuple one that was asked for. t.mu is held.
func (t *Tally) get(tuple flows.Tuple) (flows.Counters, bool) {
	if c, ok := t.now[tuple]; ok {
		return c, true
	}
	c, ok := t.old[tuple]
	if ok {
		delete(t.old, tuple)
		t.put(tuple, c)
	}
	return c, ok
}

func (t *Tally) put(tuple flows.Tuple, c flows.Counters) {
	if t.now == nil {
		t.now = make(map[flows.Tuple]flows.Counters)
	}
	t.now[tuple] = c
}

func (t *Tally) drop(tuple flows.Tuple) {
	delete(t.now, tuple)
	delete(t.old, tuple)
}
