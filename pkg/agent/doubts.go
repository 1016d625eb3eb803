package agent

import (
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// gatherFor is how long changes are gathered after one was told at once, so that a
// switch that changes all the time is asked about that ten times a second and not
// a thousand times.
const gatherFor = 100 * time.Millisecond

// maxMatches and maxStations bound what a doubt is narrowed by; beyond, it is about
// every packet. A guest can make a bridge learn as many stations as its table holds.
const (
	maxMatches  = 256
	maxStations = 1 << 16
)

// doubter is what forgets what it knows of OVS; *path.Judge is one.
type doubter interface{ Doubt(now flows.Instant) }

// doubts tells the judge and the engine, in that order, that OVS may treat packets
// differently now.
type doubts struct {
	judge doubter
	loop  *loop
	log   *slog.Logger

	limit time.Duration // how long they can be held

	mu     sync.Mutex
	held   time.Time // since when OVS is being restored; zero: it is not
	timer  *time.Timer
	closed bool
	merged engine.PathsDoubted
	any    bool // merged is one
	count  map[string]uint64
}

func newDoubts(judge doubter, l *loop, limit time.Duration) *doubts {
	return &doubts{judge: judge, loop: l, log: slog.New(slog.DiscardHandler), limit: limit, count: make(map[string]uint64)}
}

// raise tells a doubt: at once, or together with others a moment later.
func (d *doubts) raise(source string, ev engine.PathsDoubted) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count[source]++
	d.log.Debug("doubt", "source", source, "ports", len(ev.Ports), "matches", len(ev.Matches), "stations", len(ev.Stations), "held", d.isHeld())
	if ev.Within > 0 && !d.isHeld() && !d.closed {
		d.judge.Doubt(d.loop.clock.now())
		d.loop.post(ev) // not together with what is more urgent
		return
	}
	if d.any {
		ev = union(d.merged, ev)
	}
	d.merged, d.any = ev, true
	d.tellIfDue()
}

// hold keeps doubts back while OVS is being restored, for as long as the limit allows:
// meanwhile its tables say nothing, and it leaves the datapath as it is.
func (d *doubts) hold(held bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !held:
		d.held = time.Time{}
	case d.held.IsZero():
		d.held = time.Now()
	}
	d.tellIfDue()
}

// tellIfDue is called with mu held.
func (d *doubts) tellIfDue() {
	if d.any && d.timer == nil && !d.isHeld() && !d.closed {
		d.tell()
	}
}

func (d *doubts) isHeld() bool { return !d.held.IsZero() && time.Since(d.held) < d.limit }

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
	d.tellIfDue()
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
	if anyPacket(a) || anyPacket(b) || len(a.Matches)+len(b.Matches) > maxMatches || len(a.Stations)+len(b.Stations) > maxStations {
		return u
	}
	u.Matches = append(append([]flows.PacketMatch{}, a.Matches...), b.Matches...)
	u.Stations = make(map[flows.MAC]bool, len(a.Stations)+len(b.Stations))
	maps.Copy(u.Stations, a.Stations)
	maps.Copy(u.Stations, b.Stations)
	return u
}

func anyPacket(ev engine.PathsDoubted) bool { return ev.Matches == nil && ev.Stations == nil }

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
