package secgroup

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// Compiler makes Tables of Updates. It is not safe for concurrent use; the Tables are.
type Compiler struct {
	table    *Table // of all updates so far
	ports    map[flows.LogicalPort]*Port
	rules    map[RuleID]*rule
	groups   map[GroupID]*group
	sets     map[SetID]*set
	prefixes map[netip.Prefix]*prefix

	refs                    uint64 // how many were given
	slots, groupNos, setNos numbering
	members, there          int // Size.Members, Size.Sets
	*work
}

// NewCompiler returns a Compiler that knows nothing.
func NewCompiler() *Compiler {
	return &Compiler{
		table:    &Table{ports: newHashMap[flows.LogicalPort, port](hashPort), addrs: newAddresses()},
		ports:    make(map[flows.LogicalPort]*Port),
		rules:    make(map[RuleID]*rule),
		groups:   make(map[GroupID]*group),
		sets:     make(map[SetID]*set),
		prefixes: make(map[netip.Prefix]*prefix),
	}
}

// Apply returns the Table of all updates so far, u the last, and what it may judge otherwise
// than the one before. Older Tables stay what they are.
//
// A Reset costs as much as all that u holds, but its Change names only what is different.
func (c *Compiler) Apply(u *Update) (*Table, Change) {
	if u.Reset {
		u = c.sinceLast(u)
	}
	c.work = newWork()
	for id, change := range u.Sets { // first, because places depend on which are there
		c.changeSet(id, change)
	}
	for id, told := range u.Rules {
		c.changeRule(id, told)
	}
	for r, vanished := range c.stale {
		c.refresh(r, vanished)
	}
	for name, told := range u.Ports {
		c.changePort(name, told)
	}
	change := c.concerns()
	c.flush()
	c.work = nil
	return c.table, change
}

// sinceLast returns what u says as a difference from what is known.
func (c *Compiler) sinceLast(u *Update) *Update {
	d := &Update{
		Ports: make(map[flows.LogicalPort]*Port, len(u.Ports)),
		Rules: make(map[RuleID]*Rule, len(u.Rules)),
		Sets:  make(map[SetID]SetChange, len(u.Sets)),
	}
	for name := range c.ports {
		d.Ports[name] = nil
	}
	for name, p := range u.Ports {
		d.Ports[name] = p
	}
	for id := range c.rules {
		d.Rules[id] = nil
	}
	for id, r := range u.Rules {
		d.Rules[id] = r
	}
	for id := range c.sets {
		d.Sets[id] = SetChange{Gone: true}
	}
	for id, s := range u.Sets {
		s.Replace = !s.Gone
		d.Sets[id] = s
	}
	return d
}

// flush makes the next Table of what work has gathered.
func (c *Compiler) flush() {
	for g := range c.edited {
		c.programs[g.no] = c.table.groups.get(g.no).with(g.edits)
		g.edits = nil
	}
	c.table = &Table{
		ports:  c.table.ports.with(c.newPorts),
		groups: c.table.groups.with(c.programs),
		rules:  c.table.rules.with(c.labels),
		addrs:  c.table.addrs.with(c.addrs),
		size:   Size{Ports: len(c.ports), Rules: len(c.rules), Sets: c.there, Members: c.members},
	}
	c.slots.settle()
	c.groupNos.settle()
	c.setNos.settle()
}
