package agent

import (
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// gatherFor is how long changes are gathered after one was told at once, so that a
// switch that changes all the time is asked about that ten times a second and not
// a thousand times.
const gatherFor = 100 * time.Millisecond

// holdFor is how long doubts are held back while OVS is being restored. OVS looks at
// flow-restore-wait only until it has been false once (bridge_run in
// vswitchd/bridge.c), so one that is set later, or forgotten, says nothing.
const holdFor = time.Minute

// maxMatches bounds what a doubt is narrowed by; beyond, it is about every packet.
const maxMatches = 256

// doubter is what forgets what it knows of OVS; *path.Judge is one.
type doubter interface{ Doubt(now flows.Instant) }

// doubts tells the judge and the engine, in that order, that OVS may treat packets
// differently now.
type doubts struct {
	judge doubter
	loop  *loop

	mu     sync.Mutex
	held   bool      // OVS is being restored: its tables say nothing yet
	since  time.Time // when that was said first
	timer  *time.Timer
	closed bool
	merged engine.PathsDoubted
	any    bool // merged is one
	count  map[string]uint64
}

func newDoubts(judge doubter, l *loop) *doubts {
	return &doubts{judge: judge, loop: l, count: make(map[string]uint64)}
}

// raise tells a doubt: at once, or together with others a moment later.
func (d *doubts) raise(source string, ev engine.PathsDoubted) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count[source]++
	if d.any {
		ev = union(d.merged, ev)
	}
	d.merged, d.any = ev, true
	if d.timer == nil && !d.held && !d.closed {
		d.tell()
	}
}

// hold keeps doubts back while OVS is being restored. It wants to be called again and
// again.
func (d *doubts) hold(held bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !held:
		d.since = time.Time{}
	case d.since.IsZero():
		d.since = time.Now()
	}
	d.held = held && time.Since(d.since) < holdFor
	if !d.held && d.any && d.timer == nil && !d.closed {
		d.tell()
	}
}

// tell is called with mu held and no timer running.
func (d *doubts) tell() {
	d.judge.Doubt(d.loop.clock.now())
	d.loop.post(d.merged)
	d.merged, d.any = engine.PathsDoubted{}, false
	d.timer = time.AfterFunc(gatherFor, d.gathered)
}

func (d *doubts) gathered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timer = nil
	if d.any && !d.held && !d.closed {
		d.tell()
	}
}

func (d *doubts) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.timer != nil {
		d.timer.Stop()
	}
}

// counts returns how many doubts each source has raised.
func (d *doubts) counts() map[string]uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := make(map[string]uint64, len(d.count))
	for source, n := range d.count {
		counts[source] = n
	}
	return counts
}

// union returns a doubt that covers both. Two that are narrowed cannot keep their
// matches and their ports apart, so the ports of both count for the matches of both.
func union(a, b engine.PathsDoubted) engine.PathsDoubted {
	var u engine.PathsDoubted
	if a.Ports != nil && b.Ports != nil {
		u.Ports = mergePorts(a.Ports, b.Ports)
	}
	if a.Matches != nil && b.Matches != nil && len(a.Matches)+len(b.Matches) <= maxMatches {
		u.Matches = append(append(u.Matches, a.Matches...), b.Matches...)
	}
	return u
}

// mergePorts returns what is in any of the lists; it is never nil.
func mergePorts(lists ...[]flows.PortID) []flows.PortID {
	merged := []flows.PortID{}
	seen := make(map[flows.PortID]bool)
	for _, list := range lists {
		for _, id := range list {
			if !seen[id] {
				seen[id] = true
				merged = append(merged, id)
			}
		}
	}
	return merged
}
