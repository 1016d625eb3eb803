package path

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

const (
	wantedAge = 5 * time.Second
	maxWanted = 4096

	// tellAgain bounds how often more of the evidence that is there already makes a
	// connection be looked at again; else a stream in one direction would do that
	// with every packet.
	tellAgain = time.Second
)

// Wanted is the list of connections for which evidence is missing. While a
// bridge is on it, its ports are to be sampled. An entry lasts five seconds from
// the last time that it was asked for. Methods may be called concurrently.
type Wanted struct {
	found func(flows.Tuple)
	count atomic.Int32 // of tuples, so that sightings need no lock while it is 0

	mu     sync.Mutex
	tuples map[flows.Tuple]*wanted // by the original direction
}

// lack is what is missing of a connection.
type lack struct {
	bridge string          // where it is looked for; "": everywhere
	at     [2]flows.PortID // by Dir, at which a packet is news; 0: at any
	seen   [2]bool         // by Dir: it was seen already
}

type wanted struct {
	bridge string // "" is every bridge
	at     [2]flows.PortID
	until  flows.Instant
	told   [2]bool       // by Dir: a sighting is no news
	since  flows.Instant // since when that is so
}

// NewWanted returns an empty list. found, which may be nil, is called with the
// original direction of a wanted connection when a packet of it is sighted: at
// once in a direction that was not seen yet, and about once a second in one that
// was, for as long as it is wanted again. It must not block.
func NewWanted(found func(flows.Tuple)) *Wanted {
	if found == nil {
		found = func(flows.Tuple) {}
	}
	return &Wanted{found: found, tuples: make(map[flows.Tuple]*wanted)}
}

// want puts a connection on the list. When 4,096 are on it, it is ignored: sampling is on
// anyway, and the caller will ask again.
func (w *Wanted) want(orig flows.Tuple, l lack, now flows.Instant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.tuples[orig]
	if entry == nil && len(w.tuples) >= maxWanted {
		w.expire(now)
		if len(w.tuples) >= maxWanted {
			return
		}
	}
	switch {
	case entry == nil:
		entry = &wanted{since: now}
		w.tuples[orig] = entry
	case now.Sub(entry.since) >= tellAgain:
		entry.since, entry.told = now, [2]bool{}
	default:
		entry.told = l.seen // one that came too late for the caller is still news
	}
	entry.bridge, entry.at, entry.until = l.bridge, l.at, now.Add(wantedAge)
	w.count.Store(int32(len(w.tuples)))
}

// Sighted tells that a packet with this tuple was seen to come in at a port.
func (w *Wanted) Sighted(tuple flows.Tuple, port flows.PortID) {
	if w.count.Load() == 0 {
		return
	}
	for dir, orig := range [2]flows.Tuple{tuple, tuple.Reverse()} {
		if w.tell(orig, flows.Dir(dir), port) {
			w.found(orig)
		}
	}
}

func (w *Wanted) tell(orig flows.Tuple, dir flows.Dir, port flows.PortID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.tuples[orig]
	if entry == nil || entry.told[dir] || entry.at[dir] != 0 && entry.at[dir] != port {
		return false
	}
	entry.told[dir] = true
	return true
}

// Bridges returns the bridges whose ports are to be sampled now; all is true if
// it is every bridge.
func (w *Wanted) Bridges(now flows.Instant) (bridges map[string]bool, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expire(now)
	bridges = make(map[string]bool)
	for _, entry := range w.tuples {
		if entry.bridge == "" {
			all = true
		} else {
			bridges[entry.bridge] = true
		}
	}
	return bridges, all
}

func (w *Wanted) expire(now flows.Instant) {
	for tuple, entry := range w.tuples {
		if entry.until <= now {
			delete(w.tuples, tuple)
		}
	}
	w.count.Store(int32(len(w.tuples)))
}
