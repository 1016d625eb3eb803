package harness

import (
	"fmt"
	"strings"
)

// Group is a security group.
type Group struct {
	ID   string // Neutron's
	Name string // of the Port_Group
	Own  []Rule // what a new group has: all IPv4, and all IPv6, may go out

	o *OVN
}

// AddGroup adds a security group with the two rules that Neutron gives to each: its
// ports may send what they like.
func (o *OVN) AddGroup() *Group {
	o.w.T.Helper()
	g := o.AddEmptyGroup()
	g.Own = []Rule{g.Add(Rule{Egress: true}), g.Add(Rule{Egress: true, V6: true})}
	return g
}

// AddEmptyGroup adds a security group without rules: it permits nothing.
func (o *OVN) AddEmptyGroup() *Group {
	o.w.T.Helper()
	g := &Group{ID: o.uuid(), o: o}
	g.Name = "pg_" + underscored(g.ID)
	o.Nbctl("create", "port_group", "name="+g.Name, `external_ids:neutron\:security_group_id=`+g.ID)
	return g
}

// Rule is a rule of a security group, in the words of Neutron's API. The zero value
// permits all IPv4 that comes in.
type Rule struct {
	Egress    bool
	V6        bool
	Proto     string // tcp, udp, icmp4, ...; empty: any
	Ports     [2]uint16
	CIDR      string // the other end; empty: any
	Remote    *Group // members of this group
	Addresses *AddressGroup
	Stateless bool

	ID, row string // of a rule that was added
}

// match is as Neutron writes it: always in this order.
func (r Rule) match(group string) string {
	port, there, ip := "outport", "src", "ip4"
	if r.Egress {
		port, there = "inport", "dst"
	}
	if r.V6 {
		ip = "ip6"
	}
	terms := []string{port + " == @" + group, ip}
	other := ip + "." + there + " == "
	if r.CIDR != "" {
		terms = append(terms, other+r.CIDR)
	}
	if r.Remote != nil {
		terms = append(terms, other+"$"+r.Remote.Name+"_"+ip)
	}
	if r.Addresses != nil {
		terms = append(terms, other+"$"+r.Addresses.Name+"_"+ip)
	}
	if r.Proto != "" {
		terms = append(terms, r.Proto)
	}
	switch low, high := r.Ports[0], r.Ports[1]; {
	case high == 0 && low != 0, high == low && low != 0:
		terms = append(terms, fmt.Sprintf("%s.dst == %d", r.Proto, low))
	case high != 0:
		terms = append(terms, fmt.Sprintf("%s.dst >= %d", r.Proto, low), fmt.Sprintf("%s.dst <= %d", r.Proto, high))
	}
	return strings.Join(terms, " && ")
}

// Add adds a rule, and returns it as it is known from then on. Who must know that it
// is enforced says Sync.
func (g *Group) Add(r Rule) Rule {
	g.o.w.T.Helper()
	r.ID = g.o.uuid()
	direction, action := "to-lport", "allow-related"
	if r.Egress {
		direction = "from-lport"
	}
	if r.Stateless {
		action = "allow-stateless"
	}
	r.row = firstLine(g.o.Nbctl("--id=@a", "create", "acl", "direction="+direction, "priority=1002", "action="+action, `match="`+r.match(g.Name)+`"`,
		`external_ids:neutron\:security_group_rule_id=`+r.ID,
		"--", "add", "port_group", g.Name, "acls", "@a"))
	return r
}

// Remove removes a rule and waits until that is enforced. Rules are never changed.
func (g *Group) Remove(r Rule) Enforced {
	g.o.w.T.Helper()
	return g.o.Change("remove", "port_group", g.Name, "acls", r.row)
}

// AddressGroup is a named set of prefixes that rules refer to.
type AddressGroup struct {
	Name string // of the Address_Set, without the family

	o *OVN
}

// AddAddressGroup adds an address group of IPv4 prefixes.
func (o *OVN) AddAddressGroup(prefixes ...string) *AddressGroup {
	o.w.T.Helper()
	id := o.uuid()
	g := &AddressGroup{"ag_" + underscored(id), o}
	for _, family := range []string{"_ip4", "_ip6"} {
		o.Nbctl("create", "address_set", "name="+g.Name+family, `external_ids:neutron\:address_group_id=`+id)
	}
	g.Add(prefixes...)
	return g
}

// Add adds prefixes and waits until that is enforced.
func (g *AddressGroup) Add(prefixes ...string) Enforced {
	g.o.w.T.Helper()
	return g.o.Change("add", "address_set", g.Name+"_ip4", "addresses", quoted(prefixes))
}

// Remove removes prefixes and waits until that is enforced.
func (g *AddressGroup) Remove(prefixes ...string) Enforced {
	g.o.w.T.Helper()
	return g.o.Change("remove", "address_set", g.Name+"_ip4", "addresses", quoted(prefixes))
}

func quoted(words []string) string { return `"` + strings.Join(words, `","`) + `"` }

func underscored(uuid string) string { return strings.ReplaceAll(uuid, "-", "_") }

// uuid makes up another id.
func (o *OVN) uuid() string {
	o.made++
	return fmt.Sprintf("4f0a7d3e-11f3-4a5b-8d5f-%012x", o.made)
}
