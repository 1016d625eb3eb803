package path

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// passed returns what is missing to show that a connection on a wire comes out of the
// inspector as it goes in, nil if nothing is. Only then may rules do what the inspector does
// with its packets, which is nothing.
func (r *Resolver) passed(w *Wire, p pair, ports *Ports, silent [2]bool, now flows.Instant) *Refusal {
	if !w.inspected() {
		return nil
	}
	if w.State != wire.Inspected {
		return refuse(flows.InspectorDown, "the wire between %s and %s is %s", w.Ends[0], w.Ends[1], w.State)
	}
	var far [2]*Port // by Dir
	for dir, s := range p.sides {
		if !s.goes.Inspected {
			return refuse(flows.InspectorDown, "OVS sends what enters %s past the inspector", s)
		}
		name := w.Inspectors[0]
		if s.port.Name == w.Ends[0] {
			name = w.Inspectors[1]
		}
		if far[dir] = ports.byName[name]; far[dir] == nil {
			return refuse(flows.InspectorDown, "there is no port %s", name)
		}
	}
	for dir, s := range p.sides { // first, since no sampling helps where this is not known
		if s.tuple.Proto != flows.TCP {
			continue
		}
		if refusal := r.syns.same(s.tuple, s.Tags, s.port, far[dir]); refusal != nil {
			return refusal
		}
	}
	return r.comesOut(p, far, silent, now)
}

// fresh is how old the last packet may be that was seen behind the inspector. Counters alone
// do not show that a connection gets through: at the far end somebody can send packets that
// look like those which the inspector blocks, and the zone there counts them.
const fresh = 2 * time.Second

// comesOut refuses a connection whose packets were not seen to come out of the inspector of
// late in the frame in which they go in, or in another one, too; and one of which packets of
// one direction enter at both ends, where one of the two pretends.
func (r *Resolver) comesOut(p pair, far [2]*Port, silent [2]bool, now flows.Instant) *Refusal {
	var lacks lack
	var unseen *Refusal
	for dir, s := range p.sides {
		other := p.sides[1-dir].port
		last := flows.Instant(-1)
		for _, o := range r.seen.Seen(s.tuple, now) {
			switch {
			case o.Port == other.ID:
				return refuse(flows.PathAmbiguous, "%s enters %s, and %s, too", s.tuple, s.port.Name, other.Name)
			case o.Port != far[dir].ID:
			case o.Frame == s.Frame:
				last = o.Last
			default:
				return refuse(flows.UnsupportedInspector, "%s enters %s, and comes out of the inspector at %s with %s", s.tuple, s, far[dir].Name, o.Frame)
			}
		}
		lacks.at[dir] = far[dir].ID
		// A stream that nobody answers is one, too; TCP always answers.
		if quiet := silent[dir] && s.tuple.Proto != flows.TCP; last < 0 || now.Sub(last) > fresh && !quiet {
			unseen = missing(flows.InspectorUnseen, "no packet of %s was seen of late to come out of the inspector at %s", s.tuple, far[dir].Name)
		} else {
			lacks.seen[dir] = true
		}
	}
	if unseen != nil {
		lacks.bridge = p.sides[0].port.Bridge
		unseen.lacks = &lacks
	}
	return unseen
}

// hopeless refuses a TCP connection of which no packet that comes from now on can show that
// its inspector leaves the sequence numbers alone: so there is no need to look for any.
func (r *Resolver) hopeless(req Request, ports *Ports) *Refusal {
	w := r.wires.Load().zones[req.Key.Zone]
	if w == nil || w.State != wire.Inspected || req.Key.Tuple.Proto != flows.TCP {
		return nil
	}
	for end := range w.Ends {
		near, far := ports.byName[w.Ends[end]], ports.byName[w.Inspectors[1-end]]
		if near == nil || far == nil {
			return nil
		}
		_, came := r.syns.at(req.Key.Tuple, near.ID)
		if _, went := r.syns.at(req.Key.Tuple, far.ID); came && went {
			return nil
		}
	}
	return refuse(flows.InspectorUnseen, "the SYN of %s was not seen on both sides of the inspector between %s and %s", req.Key.Tuple, w.Ends[0], w.Ends[1])
}

// beside returns where a connection on a wire stands whose packets OVS sends past the
// inspector now: what was offloaded before stood on both sides of it, and its entries are
// still there.
func beside(w *Wire, p pair, stands []flows.Stand, states []flows.ZoneState) []flows.Stand {
	if w == nil || !w.inspected() || w.Zones[0] == w.Zones[1] {
		return stands
	}
	orig := p.sides[flows.Orig].tuple
	for i := range states {
		at := states[i].Stand()
		if at.Tuple == orig && slices.Contains(w.Zones[:], at.Zone) && !slices.Contains(stands, at) {
			stands = append(stands, at)
		}
	}
	return stands
}
