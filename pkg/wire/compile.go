package wire

import (
	"cmp"
	"fmt"
	"slices"
)

// MaxWires bounds the wires of a node: each needs two conntrack zones, flows and probes.
const MaxWires = 256

// Problem is what is wrong with a row.
type Problem struct {
	ID, Name string // of the row
	Text     string
	Instead  string // what is in force on this node instead
	// Here says that only this node knows: what is wrong depends on more than rows that every
	// node with this row reads.
	Here bool
}

// Compile returns the wires that shall be, by name, and what is wrong with rows. A bad row
// changes nothing: of a wire that is in force its last form stays, where nothing else needs
// its ports. Of rows that want the same name or port the one in force stays, else that of this
// node goes first, then the lesser id.
func Compile(rows []Row, last []Spec) ([]Spec, []Problem) {
	c := &compiler{last: make(map[string]Spec), owners: make(map[string]*Row), names: make(map[string]*Row)}
	for _, s := range last {
		c.last[s.Name] = s
	}
	rows = slices.Clone(rows)
	slices.SortFunc(rows, c.order)
	for i := range rows {
		if !rows[i].Disabled {
			c.take(&rows[i])
		}
	}
	for _, r := range c.bad {
		c.keepLast(r)
	}
	slices.SortFunc(c.specs, func(a, b Spec) int { return cmp.Compare(a.Name, b.Name) })
	return c.specs, c.problems
}

type compiler struct {
	last     map[string]Spec
	specs    []Spec
	names    map[string]*Row // of what is taken
	owners   map[string]*Row // by port
	bad      []*Row
	problems []Problem
}

// order puts what is in force first.
func (c *compiler) order(a, b Row) int {
	rank := func(r *Row) int {
		s, err := r.Spec()
		switch {
		case err == nil && c.last[r.Name] == s:
			return 0
		case r.Node != "":
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.ID, b.ID))
}

// take takes a row over, or says why not.
func (c *compiler) take(r *Row) {
	s, err := r.Spec()
	here := false
	if err == nil {
		here, err = c.conflict(r, &s)
	}
	if err != nil {
		c.problems = append(c.problems, Problem{ID: r.ID, Name: r.Name, Text: err.Error(), Instead: "there is no such wire", Here: here})
		c.bad = append(c.bad, r)
		return
	}
	c.add(r, s)
}

func (c *compiler) add(r *Row, s Spec) {
	c.specs = append(c.specs, s)
	c.names[s.Name] = r
	for _, port := range s.all() {
		c.owners[port] = r
	}
}

// conflict says which row is in the way of another, and whether only this node knows.
func (c *compiler) conflict(r *Row, s *Spec) (here bool, err error) {
	if other := c.names[s.Name]; other != nil {
		return r.Node != other.Node, fmt.Errorf("name: there is another wire %.64q", s.Name)
	}
	for _, port := range s.all() {
		if other := c.owners[port]; other != nil {
			return r.Node != other.Node, fmt.Errorf("port %.64q belongs to wire %.64q", port, other.Name)
		}
	}
	if len(c.specs) >= MaxWires {
		return true, fmt.Errorf("there are more than %d wires", MaxWires)
	}
	return false, nil
}

// keepLast keeps the last form of a bad row's wire, if nothing is in its way.
func (c *compiler) keepLast(r *Row) {
	s, ok := c.last[r.Name]
	if !ok {
		return
	}
	if _, err := c.conflict(r, &s); err != nil {
		return
	}
	c.add(r, s)
	for i := range c.problems {
		if p := &c.problems[i]; p.ID == r.ID {
			p.Instead = "its last good form is in force"
		}
	}
}
