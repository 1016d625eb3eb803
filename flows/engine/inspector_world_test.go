package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// inspector is that of the one wire of a world, between two of its ports. Each end has a zone
// of its own.
type inspector struct {
	away, open bool // open: fail-open, and away
	since      flows.Instant
}

// The wire: what comes in at an end is tracked in the zone of that end, then in the other one.
const (
	wireEnd0, wireEnd1   = flows.PortID(5), flows.PortID(6)
	wireZone0, wireZone1 = flows.Zone(300), flows.Zone(301)
)

func (i *inspector) closed() bool { return i.away && !i.open }

// connectWire begins a connection on the wire.
func (w *world) connectWire(tuple flows.Tuple) {
	c := &conn{
		tuple: tuple, far: tuple, ports: [2]flows.PortID{wireEnd0, wireEnd1},
		pps: [2]int{w.rng.IntN(400), w.rng.IntN(400)}, zoned: true, plain: w.chance(0.7),
		inspected: true, adjusted: w.chance(0.1), unproven: w.inspector.open,
		stands: []flows.Stand{plainAt(wireZone0, tuple), plainAt(wireZone1, tuple)},
	}
	if w.chance(0.5) {
		c.ports = [2]flows.PortID{wireEnd1, wireEnd0}
		c.stands[0], c.stands[1] = c.stands[1], c.stands[0]
	}
	if !w.inspector.closed() {
		w.begin(c, 0x23)
	}
}

// counted reports whether an entry sees the packets of a direction that come in at a port.
func (w *world) counted(c *conn, key flows.EntryKey, d int) bool {
	switch {
	case !c.inspected:
		return true
	case w.inspector.open:
		return key.Zone == wireZone0
	case w.inspector.away:
		return false
	}
	return c.blockedAt == 0 || c.pretended || key.Zone == c.stands[d].Zone
}

// changeInspector lets it go away, or come back.
func (w *world) changeInspector() {
	if w.inspector.away = !w.inspector.away; w.inspector.away {
		w.inspector.open = w.chance(0.5)
	} else {
		w.inspector.open = false
	}
	w.inspector.since = w.now
	for _, c := range w.conns {
		c.blockedAt, c.pretended, c.shown = 0, false, [2]int{} // it knows of none any more
	}
	w.reportPorts()
}

// sightedFor is for how long what was seen to come out of the inspector counts. What counters
// do not show, since the ends of a connection pretend, whoever finds paths knows after that.
const sightedFor = 2 * time.Second

// block lets the inspector block a connection from now on. Its ends go on repeating packets.
func (w *world) block() {
	var list []*conn
	for _, c := range w.conns {
		if c.inspected && c.blockedAt == 0 && !w.hasRules(c) {
			list = append(list, c)
		}
	}
	if len(list) == 0 || w.inspector.away {
		return
	}
	c := list[w.rng.IntN(len(list))]
	if c.blockedAt = w.now; w.chance(0.2) {
		c.pretended, c.pps = true, [2]int{400, 400}
	}
	if w.chance(0.5) {
		w.mark(c, 0x10) // so that it need not be fast
	}
}

func (w *world) hasRules(c *conn) bool {
	for _, h := range w.rules {
		if h.conn == c {
			return true
		}
	}
	return false
}

// repeated returns how many packets the sender of a blocked connection repeats in a turn.
func (w *world) repeated() uint64 {
	if w.chance(0.03) {
		return 1
	}
	return 0
}

// showBlocked counts, with each dump, for how many of them it was to be seen that what comes in
// does not come out.
func (w *world) showBlocked() {
	for _, c := range w.conns {
		if c.blockedAt == 0 || c.pretended {
			continue
		}
		for d := range c.pps {
			var packets [2]uint64
			for i, at := range c.stands {
				for _, key := range c.keys {
					if k := w.entries[key]; k != nil && key.Zone == at.Zone {
						packets[i] = k.Count[d].Packets
					}
				}
			}
			if packets[d] > c.shownAt[d] {
				c.shown[d]++
			}
			c.shownAt[d] = packets[d]
		}
	}
}

// shownEnough is how many dumps it may take: the first one may show what passed before, and two
// more are needed, the answer to which may still be on its way.
const shownEnough = 4

// pathsHold is how long it may take from the moment when a path was found to its rules.
const pathsHold = time.Second

// orderedInspector checks an installation past the inspector.
func (l *ledger) orderedInspector(w *world, e Install) {
	s := w.engine.sessions[e.Session]
	c := w.connOf[s.primary().key]
	if c == nil || !c.inspected {
		return
	}
	w.total.inspected++
	switch {
	case c.adjusted:
		l.fail(1, "%v is installed, and the inspector changes its sequence numbers", e.Tuples[0])
	case c.unproven:
		l.fail(1, "%v is installed, and began when the inspector was away", e.Tuples[0])
	case c.pretended && w.now.Sub(c.blockedAt) > sightedFor+pathsHold:
		l.fail(1, "%v is installed, and the inspector blocks it since %v, although counters grow on both sides", e.Tuples[0], w.now.Sub(c.blockedAt))
	case max(c.shown[0], c.shown[1]) >= shownEnough:
		l.fail(1, "%v is installed, and the inspector blocks it since %v", e.Tuples[0], w.now.Sub(c.blockedAt))
	}
	if l.marked(w, s) || l.kinder(w, s) {
		return
	}
	want := uint64(l.policies.Terms(s.policy).InspectPackets)
	for _, key := range c.keys {
		for d, n := range l.packets[key] {
			if n -= l.inspectFrom[key][d]; n < want {
				l.fail(1, "%v is installed after %d packets on one side of the inspector, policy %d wants %d", s.tuple, n, s.policy, want)
			}
		}
	}
}

// checkInspector is the part of promise 1 about a wire that is closed, and of promise 4 about
// what an inspector does let through.
func (l *ledger) checkInspector(w *world) {
	for id, h := range w.rules {
		if h.conn == nil || !h.conn.inspected || !w.inspector.closed() {
			continue
		}
		if age := w.now.Sub(w.since(h, max(h.since, w.inspector.since))); age > w.reaction()-w.cfg.ReadInterval {
			l.fail(1, "session %v has rules on a wire that is closed for %v", id, age)
		}
	}
	for _, c := range w.conns {
		if !c.inspected || c.blockedAt > 0 || c.ended || w.inspector.away || min(c.pps[0], c.pps[1]) < 100 || w.hasRules(c) {
			continue
		}
		for _, key := range c.keys {
			e := w.engine.entries.get(key)
			if e != nil && e.reason == flows.InspectorHolds && w.now.Sub(max(e.since, c.paceAt, w.inspector.since)) > 8*time.Second {
				l.fail(4, "%v is taken to be blocked since %v", key, w.now.Sub(e.since))
			}
		}
	}
}

// removingFromWire checks that nothing leaves because of an inspector that is away while all
// may pass without it.
func (l *ledger) removingFromWire(w *world, e Remove) {
	if e.Cause == flows.InspectorDown && !w.inspector.closed() && w.engine.sessions[e.Session].retries == 0 {
		l.fail(4, "session %v leaves, and its wire is not closed", e.Session)
	}
}
