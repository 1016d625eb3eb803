package secgroup

import "github.com/flowshunt/flowshunt/flows"

// group is what a Compiler knows of a GroupID: it exists for as long as ports or rules
// name it.
type group struct {
	id      GroupID
	no      groupNo
	ports   map[flows.LogicalPort]bool
	rules   int
	denying int             // rules that do other things than to allow
	edits   map[place]*edit // of this Apply
}

func (c *Compiler) group(id GroupID) *group {
	g := c.groups[id]
	if g == nil {
		g = &group{id: id, no: c.groupNos.take(), ports: make(map[flows.LogicalPort]bool)}
		c.groups[id] = g
	}
	return g
}

// releaseGroup forgets a group that nothing names any more.
func (c *Compiler) releaseGroup(g *group) {
	if len(g.ports) == 0 && g.rules == 0 {
		delete(c.groups, g.id)
		c.groupNos.free(g.no)
	}
}

// edit returns what changes in a bucket of g.
func (c *Compiler) edit(g *group, p place) *edit {
	c.edited[g] = true
	if g.edits == nil {
		g.edits = make(map[place]*edit)
	}
	e := g.edits[p]
	if e == nil {
		e = &edit{gone: make(map[flows.RuleRef]bool)}
		g.edits[p] = e
	}
	return e
}

// with returns what p becomes, nil: it has no rules. p may be nil.
func (p *program) with(edits map[place]*edit) *program {
	var out program
	if p != nil {
		out = *p
	}
	changed := make(map[place]map[setNo]*bucket) // by place without set
	for at, e := range edits {
		c := &out[at.kind][at.state]
		if at.by == byNone {
			c.any = c.any.edit(e)
			continue
		}
		in := place{kind: at.kind, state: at.state, by: at.by}
		if changed[in] == nil {
			changed[in] = make(map[setNo]*bucket)
		}
		changed[in][at.set] = c.index(at.by).get(at.set).edit(e)
	}
	for at, buckets := range changed {
		c := &out[at.kind][at.state]
		x := &c.remote
		if at.by == byLocal {
			x = &c.local
		}
		*x = (*x).with(buckets)
	}
	if out == (program{}) {
		return nil
	}
	return &out
}

// program returns that of a group, nil: it has no rules.
func (t *Table) program(g groupNo) *program {
	if int(g) < len(t.groups) {
		return t.groups[g]
	}
	return nil
}

// withPrograms returns a copy of size programs, with other ones at some places.
func withPrograms(list []*program, edits map[groupNo]*program, size int) []*program {
	if len(edits) == 0 && len(list) == size {
		return list
	}
	out := make([]*program, size)
	copy(out, list)
	for g, p := range edits {
		out[g] = p
	}
	return out
}
