package engine

import (
	"fmt"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// A connection on a wire with an inspector is tracked on both sides of it, in two zones. What
// the inspector blocks goes on being counted on one side, since its sender repeats it: so a
// direction counts as far as it was seen on both, and one that grows on one side only is held.
// That is decided by growth over several readings, never by how the counts compare, because
// the two entries are not read at the same moment, and packets are lost.

const (
	// inFlight is more than it takes a packet to pass an inspector, and a reading to be done.
	inFlight = 500 * time.Millisecond
	// rememberWire is how long an entry is taken to stand at an inspector after its path said
	// so: then its path is asked for again, since the inspector may have been taken away.
	rememberWire = time.Minute
)

// growth is when a count was last found to have grown, and the time before that.
type growth struct{ last, before flows.Instant }

func (gr *growth) note(at flows.Instant) {
	if at > gr.last {
		gr.last, gr.before = at, gr.last
	}
}

// noteWire remembers where the entries of a session stand, by the path that was just found.
func (g *Engine) noteWire(s *session, inspected bool) (flows.Reason, string) {
	for _, e := range s.entries {
		e.atWire = 0
	}
	switch {
	case !inspected:
		return "", ""
	case len(s.entries) != 2 || s.entries[0].nat != nil || s.entries[0].key.Zone == s.entries[1].key.Zone:
		return flows.ZoneUnknown, "it is not tracked on both sides of the inspector"
	case !s.isTCP() && s.entries[0].beganApart(s.entries[1]): // TCP: its handshake has shown more
		return flows.InspectorUnseen, "it began on one side of the inspector, and later on the other"
	}
	for i, e := range s.entries {
		e.beyond, e.atWire = s.entries[1-i].key.Zone, g.now.Add(rememberWire)
	}
	return "", ""
}

// apart is more than there can be between the first packet of a connection before an
// inspector and behind it, and between two readings that tell of them.
const apart = 3 * time.Second

// beganApart reports whether two entries began at different times: as those of a connection
// do that began while its wire was open, and goes through the inspector since.
func (e *entry) beganApart(o *entry) bool {
	between := e.first.Sub(o.first)
	if e.start != 0 && o.start != 0 { // the kernel's time: true after a restart, too
		between = time.Duration(e.start - o.start)
	}
	return between.Abs() > apart
}

// otherSide returns the entry of the same connection on the other side of the inspector of its
// wire; nil where none is known.
func (g *Engine) otherSide(e *entry) *entry {
	if g.now >= e.atWire {
		return nil
	}
	for o := g.entries.group(e.key.Tuple); o != nil; o = o.next {
		if o.key.Zone == e.beyond && o.key.Tuple == e.key.Tuple && o.nat == nil && !o.closed {
			return o
		}
	}
	return nil
}

// held says whether an inspector blocks an entry's connection: twice one side was found to have
// grown in a direction, and the other, looked at after the first time, has not since before
// that. Once would not do: the one may be read before a packet, and the other after it.
func (g *Engine) held(e *entry) (flows.Reason, string) {
	o := g.otherSide(e)
	if o == nil {
		return "", ""
	}
	for _, pair := range [...][2]*entry{{e, o}, {o, e}} {
		for d := range pair[0].grew {
			if pair[0].growsAlone(pair[1], flows.Dir(d)) {
				return flows.InspectorHolds, fmt.Sprintf("%s packets are seen in zone %d, and none in zone %d", flows.Dir(d), pair[0].key.Zone, pair[1].key.Zone)
			}
		}
	}
	return "", ""
}

func (e *entry) growsAlone(o *entry, d flows.Dir) bool {
	first := e.grew[d].before
	return first > o.grew[d].last && o.seen.Sub(first) >= inFlight
}

// outstanding says whether the last packets of a direction that were seen on one side of an
// inspector were not on the other one yet.
func (g *Engine) outstanding(e *entry) (flows.Reason, string) {
	o := g.otherSide(e)
	if o == nil {
		return "", ""
	}
	for d := range e.grew {
		a, b := e.grew[d].last, o.grew[d].last
		if a > b && o.seen >= a || b > a && e.seen >= b {
			return flows.Inspecting, inZone(o.key.Zone)
		}
	}
	return "", ""
}

// passing says what has not shown yet that an inspector lets an entry's connection through as it
// does now: both sides have to have counted packets of each direction that came after they were
// first read, and the data that one of them waits to see acknowledged the other has seen, too.
// Without that a connection would do that was blocked before it was read twice.
func (g *Engine) passing(e *entry) (flows.Reason, string) {
	o := g.otherSide(e)
	if o == nil {
		return "", ""
	}
	silent := g.silent(e)
	for d := range e.grew {
		if e.unacked[d] != o.unacked[d] || !silent[d] && (e.grew[d].before == 0 || o.grew[d].before == 0) {
			return flows.Inspecting, inZone(o.key.Zone)
		}
	}
	return g.outstanding(e)
}

// kept says whether an inspector blocks an entry's connection, or has not shown yet that it
// does not.
func (g *Engine) kept(e *entry) (flows.Reason, string) {
	if reason, detail := g.held(e); reason != "" {
		return reason, detail
	}
	return g.passing(e)
}

// heldSince says the same of what was counted since the installation was ordered; what is on its
// way to be acknowledged is so past the inspector by now.
func (g *Engine) heldSince(e *entry) (flows.Reason, string) {
	if reason, detail := g.held(e); reason != "" {
		return reason, detail
	}
	return g.outstanding(e)
}

// silentAfter is for how long no packet of a direction was counted that is silent.
const silentAfter = 5 * time.Second

// silent says in which directions nothing is counted of an entry's connection, in any zone.
func (g *Engine) silent(e *entry) [2]bool {
	silent := [2]bool{true, true}
	for o := g.entries.group(e.key.Tuple); o != nil; o = o.next {
		for d := range silent {
			if o.key.Tuple == e.key.Tuple && o.seen.Sub(o.grew[d].last) < silentAfter {
				silent[d] = false
			}
		}
	}
	return silent
}
