package agent

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// isShut reports whether nothing may pass a wire, offloaded or not: its inspector is away, or the
// wire cannot be kept, and it fails closed. What is inspected where nobody knows is shut too.
func isShut(s *wire.Status) bool {
	return s.State == wire.Closed || s.State == wire.Unready && s.Inspected() && !s.FailOpen
}

// shutEnds are the ends of wires that are shut. Down says of a port that its device has no link:
// ovs-vswitchd, which says so too, may be away itself.
func shutEnds(list []wire.Status, down func(port string) bool) map[string]bool {
	ends := make(map[string]bool)
	for i := range list {
		s := &list[i]
		dead := s.Inspected() && !s.FailOpen && slices.ContainsFunc(s.Inspectors[:], down)
		if dead || isShut(s) {
			ends[s.Ports[0]], ends[s.Ports[1]] = true, true
		}
	}
	return ends
}

// newlyInspected adds the ends of wires that have another inspector than before: it has seen
// nothing of what is offloaded.
func newlyInspected(ends map[string]bool, was, is []wire.Status) {
	for i := range is {
		before := slices.IndexFunc(was, func(s wire.Status) bool { return s.Name == is[i].Name })
		if before >= 0 && is[i].Inspected() && was[before].Inspectors != is[i].Inspectors {
			ends[is[i].Ports[0]], ends[is[i].Ports[1]] = true, true
		}
	}
}

func never(string) bool { return false }

// setWires takes how the wires of the policy database are. It may be called from any goroutine,
// each time with all of them. When it returns the engine has been told to take sessions off the
// wires that are shut, before anything else that comes of it.
func (p *ports) setWires(list []wire.Status) {
	p.paths.SetWires(pathWires(list))
	p.telling.Lock()
	defer p.telling.Unlock()
	ends := shutEnds(list, never)
	newlyInspected(ends, p.wired(), list)
	p.wires.Store(&list)
	if t := p.now.Load(); t != nil {
		if shut, any := t.shut(ends); any {
			p.now.Store(shut)
			p.loop.post(engine.PortsChanged{Ports: shut.states()})
		}
	}
	p.soon()
}

// wired returns the wires as they were told last.
func (p *ports) wired() []wire.Status {
	if list := p.wires.Load(); list != nil {
		return *list
	}
	return nil
}

// shut returns the table with these ports not usable, and whether any was.
func (t *portTable) shut(names map[string]bool) (next *portTable, any bool) {
	next = &portTable{list: slices.Clone(t.list), byID: make(map[flows.PortID]portStatus, len(t.byID)), bridges: t.bridges, forced: t.forced}
	for i := range next.list {
		s := &next.list[i]
		if names[s.Name] && s.reason == "" {
			s.reason, s.Closed, any = flows.InspectorDown, true, true
		}
		next.byID[s.ID] = *s
	}
	return next, any
}

// states are the ports as the engine wants them.
func (t *portTable) states() []engine.PortState {
	states := make([]engine.PortState, len(t.list))
	for i, s := range t.list {
		states[i] = engine.PortState{
			ID: s.ID, Eswitch: s.hardware.eswitch, Reason: s.reason,
			Logical: s.logical, Zone: s.zone.Zone, HasZone: s.zone.Known,
		}
	}
	return states
}
