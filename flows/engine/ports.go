package engine

import (
	"cmp"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// portsChanged pulls the sessions of ports that are refused or gone.
func (g *Engine) portsChanged(ports []PortState) {
	before := g.ports
	g.ports = make(map[flows.PortID]PortState, len(ports))
	for _, p := range ports {
		g.ports[p.ID] = p
	}
	g.assignRooms(before)
	g.nameLogical(before)
	ids := make([]flows.PortID, 0, len(g.onPort))
	for id := range g.onPort {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		p, exists := g.ports[id]
		reason := p.Reason
		if !exists {
			reason = flows.PortGone
		}
		if reason == "" {
			continue
		}
		for _, s := range g.onPort[id] {
			if !s.dead {
				g.remove(s, reason)
			}
		}
		if !exists {
			delete(g.onPort, id)
		}
	}
}

// nameLogical finds the ports that have security groups, and asks again about the sessions
// of those that are another logical port now.
func (g *Engine) nameLogical(before map[flows.PortID]PortState) {
	g.logical = make(map[flows.LogicalPort][]flows.PortID, len(g.ports))
	var renamed []*session
	for id, p := range g.ports {
		if p.Logical != "" {
			g.logical[p.Logical] = append(g.logical[p.Logical], id)
		}
		if was, existed := before[id]; existed && was.Logical != p.Logical {
			renamed = append(renamed, g.onPort[id]...)
		}
	}
	if len(renamed) > 0 {
		g.revision++
		slices.SortFunc(renamed, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
		g.rejudge(renamed, news{source: nobody})
	}
}

// refusedPort returns why a port of the paths cannot be used, or "".
func (g *Engine) refusedPort(paths flows.Paths) flows.Reason {
	for _, p := range paths {
		for _, id := range [...]flows.PortID{p.In, p.Out} {
			if p, exists := g.ports[id]; !exists {
				return flows.PortGone
			} else if p.Reason != "" {
				return p.Reason
			}
		}
	}
	return ""
}

// bind gives a session its paths, by which it is found when something happens there.
func (g *Engine) bind(s *session, paths flows.Paths) {
	s.paths = paths
	in := [2]flows.PortID{paths[flows.Orig].In, paths[flows.Reply].In}
	s.settleIn(g.homeOf(in[flows.Orig], in[flows.Reply]))
	for _, e := range s.entries {
		e.in, e.inUntil, e.shape = in, g.now.Add(rememberHome), shapeOf(paths)
	}
	var on []flows.PortID
	for _, p := range paths {
		on = append(on, p.In, p.Out)
	}
	slices.Sort(on)
	for _, id := range slices.Compact(on) {
		g.onPort[id] = appendLive(g.onPort[id], s)
	}
}

// appendLive appends s to a list of sessions and drops dead ones when they are the
// larger part of a list that would have to grow.
func appendLive(list []*session, s *session) []*session {
	if len(list) == cap(list) && len(list) > 16 {
		live := slices.DeleteFunc(slices.Clone(list), func(s *session) bool { return s.dead })
		if len(live) < len(list)/2 {
			list = live
		}
	}
	return append(list, s)
}
