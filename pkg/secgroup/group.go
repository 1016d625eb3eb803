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

// with returns what p becomes.
func (p program) with(edits map[place]*edit) program {
	byClassifier := make(map[place]map[place]*edit)
	for at, e := range edits {
		in := place{kind: at.kind, state: at.state}
		if byClassifier[in] == nil {
			byClassifier[in] = make(map[place]*edit)
		}
		byClassifier[in][at] = e
	}
	for in, edits := range byClassifier {
		c := &p[in.kind][in.state]
		*c = (*c).with(edits)
	}
	return p
}

// with returns what c becomes, nil: it is empty. c may be nil.
func (c *classifier) with(edits map[place]*edit) *classifier {
	var out classifier
	if c != nil {
		out = *c
	}
	var changed [sides]map[setNo]*bucket
	for at, e := range edits {
		if at.by == byNone {
			out.any = newSlot(0, out.any.edit(e))
			continue
		}
		if changed[at.by] == nil {
			changed[at.by] = make(map[setNo]*bucket)
		}
		changed[at.by][at.set] = out.index(at.by).get(at.set).edit(e)
	}
	for by, buckets := range changed {
		if buckets != nil {
			x := out.index(side(by))
			*x = x.with(buckets)
		}
	}
	if out.any.bucket == nil && out.remote.n+out.local.n == 0 {
		return nil
	}
	return &out
}
