package secgroup

import (
	"reflect"

	"github.com/flowshunt/flowshunt/flows"
)

// Owner says whose a port is: what the network service says of it beside rules, for those
// who ask for it by name. The zero value is that it says nothing.
type Owner struct {
	Tenant Names // its project
	Groups Names // the security groups that it is in, whether rules apply or not
}

// Names are what some things are called: ids, and names that people gave, which may be
// anything. The zero value is that nothing is known of them. Nobody changes the lists.
type Names struct {
	List   []string // ids
	Called []string // names
	IDs    bool     // List has the ids of all that there are
	Named  bool     // Called has all names of all that there are, too
}

// Owner returns whose a port is; the zero value: the source does not know the port, or does
// not say.
func (t *Table) Owner(name flows.LogicalPort) Owner {
	if p := t.port(name); p != nil {
		return p.owner
	}
	return Owner{}
}

// noteOwner notes whether a port is another one's than it was.
func (c *Compiler) noteOwner(old, told *Port) {
	var before, now Owner
	if old != nil {
		before = old.Owner
	}
	if told != nil {
		now = told.Owner
	}
	c.concern.owners = c.concern.owners || !reflect.DeepEqual(before, now)
}
