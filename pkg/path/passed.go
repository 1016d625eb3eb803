package path

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// passed returns what is missing to show that a connection on a wire comes out of the
// inspector as it goes in, nil if nothing is. Only then may rules do what the inspector does
// with its packets, which is nothing.
func (r *Resolver) passed(w *Wire, p pair, ports *Ports, now flows.Instant) *Refusal {
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
	for dir, s := range p.sides {
		if refusal := r.unchanged(s, far[dir], now); refusal != nil {
			return refusal
		}
	}
	return nil
}

// unchanged refuses packets that were not seen to come out of an inspector in the frame in
// which they go in, or in another one, too.
func (r *Resolver) unchanged(s side, far *Port, now flows.Instant) *Refusal {
	same := false
	for _, o := range r.seen.Seen(s.tuple, now) {
		switch {
		case o.Port != far.ID:
		case o.Frame == s.Frame:
			same = true
		default:
			return refuse(flows.UnsupportedInspector, "%s enters %s, and comes out of the inspector at %s with %s", s.tuple, s, far.Name, o.Frame)
		}
	}
	if !same {
		return missing(flows.InspectorUnseen, "no packet of %s was seen to come out of the inspector at %s", s.tuple, far.Name)
	}
	return nil
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
