package tap

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/flowshunt/flowshunt/flows"
)

// Port is a port to be tapped.
type Port struct {
	ID      flows.PortID
	Ifindex int32
	Sample  uint32 // report one of so many packets besides FIN, SYN and RST; 0 is none, 1 is all
	Inside  bool   // of a packet in a tunnel what is inside is reported, too: see Inside
}

// Config says how taps work. Now and Sighted are required.
type Config struct {
	Now func() flows.Instant
	// Sighted receives each packet on the goroutine of its port, so it is called
	// concurrently. While it runs, packets of that port wait in the socket, so it
	// must return soon, and not call methods of Taps.
	Sighted func(Sighting)
	// Rate is the most packets per second that are read from one port; what
	// exceeds it overruns. 0 means 20,000.
	Rate int
	// Buffer is the size of one socket's receive buffer in bytes. 0 means 1 MiB.
	Buffer int
	// MaxPorts bounds the taps, each of which holds a file descriptor and a
	// goroutine. 0 means 1,024.
	MaxPorts int
}

// Stats counts since the start.
type Stats struct {
	Ports     int    // with a tap that listens
	Sightings uint64 // packets reported
	Ignored   uint64 // packets that passed the filter but could not be parsed
	Overruns  uint64 // packets lost because they were not read in time
}

// Taps is the set of taps. Its methods may be called concurrently.
type Taps struct {
	cfg  Config
	mu   sync.Mutex
	taps map[flows.PortID]*tap
	past Stats // of taps that are closed
}

// ErrTooManyPorts is returned by Set for ports beyond Config.MaxPorts.
var ErrTooManyPorts = errors.New("more ports than taps allowed")

// New returns an empty set.
func New(cfg Config) *Taps {
	cfg.Rate = cmp.Or(cfg.Rate, 20_000)
	cfg.Buffer = cmp.Or(cfg.Buffer, 1<<20)
	cfg.MaxPorts = cmp.Or(cfg.MaxPorts, 1024)
	return &Taps{cfg: cfg, taps: make(map[flows.PortID]*tap)}
}

// Set makes the taps be those of ports: it opens and closes what differs and
// switches sampling on those that stay. It may be repeated, goes on after
// errors, and returns all of them joined; ports that failed are tried again at
// the next call. A tap whose device was deleted stays silent until its port id
// disappears from ports. New sockets belong to the network namespace of the
// calling thread.
func (t *Taps) Set(ports []Port) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	want := make(map[flows.PortID]Port, len(ports))
	for _, p := range ports {
		want[p.ID] = p
	}
	for id, tap := range t.taps {
		if p, ok := want[id]; !ok || p.Ifindex != tap.want.Ifindex {
			t.remove(id)
		}
	}
	var errs []error
	for _, p := range slices.SortedFunc(maps.Values(want), func(a, b Port) int { return cmp.Compare(a.ID, b.ID) }) {
		if err := t.set(p); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (t *Taps) set(p Port) error {
	if tap, ok := t.taps[p.ID]; ok {
		if tap.want.Sample == p.Sample && tap.want.Inside == p.Inside || tap.dead() {
			return nil
		}
		return tap.setFilter(p)
	}
	if len(t.taps) >= t.cfg.MaxPorts {
		return &Error{"open socket", p.Ifindex, fmt.Errorf("%w (%d)", ErrTooManyPorts, t.cfg.MaxPorts)}
	}
	tap, err := openTap(p, &t.cfg)
	if err != nil {
		return err
	}
	t.taps[p.ID] = tap
	return nil
}

func (t *Taps) remove(id flows.PortID) {
	tap := t.taps[id]
	delete(t.taps, id)
	tap.countOverruns()
	tap.close()
	t.past.add(tap)
}

// Stats returns the counts.
func (t *Taps) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.past
	for _, tap := range t.taps {
		tap.countOverruns()
		s.add(tap)
		if !tap.dead() {
			s.Ports++
		}
	}
	return s
}

func (s *Stats) add(t *tap) {
	s.Sightings += t.seen.Load()
	s.Ignored += t.ignored.Load()
	s.Overruns += t.dropped.Load()
}

// Close ends all taps and waits for their goroutines. Sighted is not called any
// more after it returned.
func (t *Taps) Close() {
	_ = t.Set(nil)
}
