package secgroup

import (
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// changePort puts a port, or nil, into the place of what had its name.
func (c *Compiler) changePort(name flows.LogicalPort, told *Port) {
	old := c.ports[name]
	c.noteOwner(old, told)
	var before, after []*group
	if old != nil {
		for _, id := range sortedSet(old.Groups) {
			before = append(before, c.groups[id])
		}
	}
	if told == nil {
		delete(c.ports, name)
		c.newPorts[name] = nil
	} else {
		c.ports[name] = told
		p := &port{reason: told.Reason, detail: told.Detail, open: told.Open, permissive: told.Permissive, addresses: told.Addresses, owner: told.Owner}
		for _, id := range sortedSet(told.Groups) {
			g := c.group(id)
			g.ports[name] = true
			after = append(after, g)
			p.groups = append(p.groups, g.no)
		}
		c.newPorts[name] = p
	}
	c.concernPort(name, old, told, before, after)
	for _, g := range before {
		if !slices.Contains(after, g) {
			delete(g.ports, name)
			c.releaseGroup(g)
		}
	}
}

// concernPort notes what the change of a port concerns.
func (c *Compiler) concernPort(name flows.LogicalPort, old, told *Port, before, after []*group) {
	switch {
	case old == nil || old.Reason != "": // it permitted nothing
	case told == nil || told.Reason != "":
		c.concern.ports[name] = true
	case narrower(told.Addresses, old.Addresses):
		c.concern.ports[name] = true
	case told.Open: // it permits everything
	case old.Open, old.Permissive && !told.Permissive, !containsAll(after, before):
		c.concern.ports[name] = true
	default:
		for _, g := range after {
			if !slices.Contains(before, g) {
				c.grown[name] = append(c.grown[name], g)
			}
		}
	}
}

// narrower reports whether an instance may not use every address any more that it might.
func narrower(now, before []netip.Prefix) bool {
	gone := func(p netip.Prefix) bool { return !slices.Contains(now, p) }
	return len(now) > 0 && (len(before) == 0 || slices.ContainsFunc(before, gone))
}

func containsAll(list, some []*group) bool {
	for _, g := range some {
		if !slices.Contains(list, g) {
			return false
		}
	}
	return true
}

// judgeAnew notes that what a port permits may have become less, if it permitted anything.
func (c *Compiler) judgeAnew(name flows.LogicalPort) {
	if p := c.table.port(name); p != nil && p.reason == "" {
		c.concern.ports[name] = true
	}
}
