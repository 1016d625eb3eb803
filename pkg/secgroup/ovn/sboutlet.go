package ovn

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// ACLs act at all ports of a switch, also at those that lead out of it, to a router or a
// physical network. What an instance sends through one of these is judged there as well, by
// the ACLs for what leaves the switch (to-lport), and what it receives by those for what
// enters. Which packets that are, and which better ACL permits some of them, is not worked
// out: where such an ACL denies, it is unknown for the instances of the switch, in their
// other direction. Ordinary ACLs name instances' ports, and are not concerned.

// isOutlet reports whether a port leads out of its switch.
func isOutlet(row *ovnsb.PortBinding) bool {
	return row != nil && !slices.Contains([]string{"", "localport", "virtual", "external", disabledPort}, row.Type)
}

// countOutlet counts the ports that lead out of a datapath. Other is what the row is, or was,
// besides.
func (s *southbound) countOutlet(d *datapath, row, other *ovnsb.PortBinding, by int) {
	if !isOutlet(row) {
		return
	}
	d.outlets += by
	if !isOutlet(other) || row.Datapath != other.Datapath || row.LogicalPort != other.LogicalPort {
		s.redo(d)
	}
}

// outletOf reports whether a condition on the port can be true for one that leads out of a
// datapath.
func (s *southbound) outletOf(d *datapath, p portRef) bool {
	outlet := func(port string) bool { return isOutlet(s.ports[s.bindings[port]]) }
	switch {
	case d.outlets == 0:
		return false
	case p.name == "":
		return true
	case p.group:
		return slices.ContainsFunc(s.portGroups[string(groupOf(d.key, p.name))].members, outlet)
	}
	return outlet(p.name)
}

// tellOutlets tells what an ACL that denies does at ports that lead out of some datapaths,
// with numbers from n on.
func (s *southbound) tellOutlets(uuid string, n *int, a *acl, on []string) {
	if a.action < secgroup.Drop || a.passes {
		return
	}
	for i := range a.parts {
		var groups []secgroup.GroupID
		for _, dp := range on {
			if d := s.datapaths[dp]; s.outletOf(d, a.parts[i].port) {
				groups = append(groups, switchOf(d.key))
				d.leading.add(uuid)
				s.redoPorts(d)
			}
		}
		if len(groups) > 0 {
			s.ledger.rule(ruleID(uuid, *n), a.atOutlet(&a.parts[i], groups))
			*n++
		}
	}
}

// forgetOutlets undoes tellOutlets, as far as ports are concerned.
func (s *southbound) forgetOutlets(uuid string, on []string) {
	for _, dp := range on {
		if d := s.datapaths[dp]; d != nil && d.leading.has(uuid) {
			delete(d.leading, uuid)
			s.redoPorts(d)
		}
	}
}

// atOutlet returns one part of an ACL that acts where packets leave or enter the switch, for
// the instances that send or receive these.
func (a *acl) atOutlet(p *part, groups []secgroup.GroupID) *secgroup.Rule {
	r := a.rule(p, "it acts where packets leave or enter the switch", groups)
	r.Direction = flows.Ingress
	if a.stage.direction == flows.Ingress {
		r.Direction = flows.Egress
	}
	r.Tier, r.Priority = 0, topPriority // the instance's own ACLs do not overrule it
	r.Matches = slices.Clone(r.Matches)
	for i := range r.Matches {
		m := &r.Matches[i]
		m.Local, m.Remote = m.Remote, m.Local
	}
	return r
}
