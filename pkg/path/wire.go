package path

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// Wire is a virtual wire: what enters at one end leaves, unchanged, by the other, by way of
// an inspector if there is one. It is configured, not learned, and comparable.
type Wire struct {
	Ends [2]string // names of ports
	// Inspectors are the ports of the inspector, as in wire.Spec; both empty: there is none.
	// The rest means nothing then.
	Inspectors [2]string
	Zones      [2]flows.Zone // in which what passes each end is tracked; both the same: not known
	State      wire.State
}

// inspected reports whether there is an inspector, as its Spec does.
func (w *Wire) inspected() bool { return (&wire.Spec{Inspectors: w.Inspectors}).Inspected() }

// ParseWires reads a comma-separated list of pairs: "p0:p1,p2:p3". A port is at
// one end of one wire.
func ParseWires(s string) ([]Wire, error) {
	var wires []Wire
	seen := make(map[string]bool)
	for text := range strings.SplitSeq(s, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		a, b, ok := strings.Cut(text, ":")
		if !ok || a == "" || b == "" || strings.Contains(b, ":") {
			return nil, fmt.Errorf("wire %q: want PORT:PORT", text)
		}
		for _, name := range []string{a, b} {
			if seen[name] {
				return nil, fmt.Errorf("wire %q: %s is at another end already", text, name)
			}
			seen[name] = true
		}
		wires = append(wires, Wire{Ends: [2]string{a, b}})
	}
	return wires, nil
}

// wires is an immutable set of wires.
type wires struct {
	places map[string]place // by name of port
	zones  map[flows.Zone]*Wire
}

// place is what a port is to a wire.
type place struct {
	wire      *Wire
	end       int  // on which side of it
	inspector bool // the port is the inspector's there, and no end
}

// newWires returns the wires of all lists. Of two with a port in common the first one
// counts.
func newWires(lists ...[]Wire) *wires {
	ws := &wires{places: make(map[string]place), zones: make(map[flows.Zone]*Wire)}
	for _, list := range lists {
		for _, w := range list {
			ws.add(&w)
		}
	}
	return ws
}

func (ws *wires) add(w *Wire) {
	names := w.Ends[:]
	if w.inspected() {
		names = append(names[:2:2], w.Inspectors[:]...)
	}
	for _, name := range names {
		if _, taken := ws.places[name]; taken {
			return
		}
	}
	for i, name := range names {
		ws.places[name] = place{w, i % 2, i >= 2}
	}
	if w.inspected() && w.Zones[0] != w.Zones[1] {
		ws.zones[w.Zones[0]], ws.zones[w.Zones[1]] = w, w
	}
}

// between returns the wire that has its ends at two ports, or nil.
func (ws *wires) between(a, b *Port) *Wire {
	x, y := ws.places[a.Name], ws.places[b.Name]
	if x.wire == nil || x.wire != y.wire || x.inspector || y.inspector || x.end == y.end {
		return nil
	}
	return x.wire
}

// isEnd reports whether a port is an end of any wire. Such a port reaches the other end and
// nothing else.
func (ws *wires) isEnd(p *Port) bool {
	at, ok := ws.places[p.Name]
	return ok && !at.inspector
}

// isInspector reports whether a port is an inspector's.
func (ws *wires) isInspector(p *Port) bool { return ws.places[p.Name].inspector }
