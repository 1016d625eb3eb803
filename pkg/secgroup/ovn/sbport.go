package ovn

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// onPortBinding notes a port.
func (s *southbound) onPortBinding(uuid string, _, now *ovnsb.PortBinding) {
	old := s.ports[uuid]
	if old != nil {
		d := s.datapath(old.Datapath)
		delete(d.ports, uuid)
		s.countOurs(d, old, -1)
		s.countOutlet(d, old, now, -1)
		if now == nil || old.LogicalPort != now.LogicalPort {
			s.dropPort(uuid, old.LogicalPort)
		}
		if now == nil || old.Datapath != now.Datapath {
			s.forget(old.Datapath)
		}
	}
	delete(s.ports, uuid)
	if now == nil {
		return
	}
	s.ports[uuid] = now
	s.bindings[now.LogicalPort] = uuid
	d := s.datapath(now.Datapath)
	d.ports.add(uuid)
	s.countOurs(d, now, +1)
	s.countOutlet(d, now, old, +1)
	s.dirtyPorts.add(uuid)
}

func (s *southbound) dropPort(uuid, name string) {
	if s.bindings[name] == uuid {
		delete(s.bindings, name)
		s.ledger.port(flows.LogicalPort(name), nil)
	}
}

// countOurs counts the ports of a datapath that may be bound here. The first one makes its
// flows matter.
func (s *southbound) countOurs(d *datapath, row *ovnsb.PortBinding, by int) {
	if !s.isOurs(row) {
		return
	}
	mattered := d.matters()
	if d.ours += by; mattered != d.matters() {
		s.redo(d)
	}
}

// isOurs reports whether a port is, or is about to be, or was asked to be bound here.
func (s *southbound) isOurs(row *ovnsb.PortBinding) bool {
	return s.everywhere || s.us != "" && (is(row.Chassis, s.us) || is(row.RequestedChassis, s.us) ||
		slices.Contains(row.AdditionalChassis, s.us) || slices.Contains(row.RequestedAdditionalChassis, s.us))
}

func is(a *string, b string) bool { return a != nil && *a == b }

// port returns what is so of a port.
func (s *southbound) port(row *ovnsb.PortBinding) *secgroup.Port {
	p := &secgroup.Port{}
	if len(s.disabled[row.LogicalPort]) > 0 || row.Type == disabledPort {
		p.Reason, p.Detail = flows.PortUnbound, "it is disabled"
		return p
	}
	switch row.Type {
	case "", "localport":
	default:
		p.Reason, p.Detail = flows.SGUnknown, fmt.Sprintf("it is no instance's port: its type in OVN is %.40q", row.Type)
		return p
	}
	if p.Detail = s.unbound(row); p.Detail != "" {
		p.Reason = flows.PortUnbound
	} else if p.Detail = s.migrating(row); p.Detail != "" {
		p.Reason = flows.PortMigrating
	}
	if !s.isOurs(row) && row.Type == "" {
		return p
	}
	p.Owner = neutronOwner(row.ExternalIDs)
	p.Addresses = securedAddresses(row.PortSecurity)
	d := s.datapath(row.Datapath)
	own := s.groupsOn(row.LogicalPort, d.key)
	p.Permissive = !slices.Contains(own, groupOf(d.key, s.cfg.DropGroup))
	if p.Reason == "" {
		if p.Detail = s.anomaly(row, d, own); p.Detail != "" {
			p.Reason = flows.SGUnknown
		}
	}
	if len(row.PortSecurity) == 0 && len(own) == 0 && d.acls == 0 && d.portACLs[row.LogicalPort] == 0 && len(d.leading) == 0 {
		p.Open = true
	}
	p.Groups = append(own, switchOf(d.key), portOf(d.key, row.LogicalPort))
	return p
}

// groupsOn returns the port groups that a port is in on a datapath, sorted.
func (s *southbound) groupsOn(port string, key int) []secgroup.GroupID {
	var own []secgroup.GroupID
	prefix := strconv.Itoa(key) + "_"
	for name := range s.members[port] {
		if strings.HasPrefix(name, prefix) {
			own = append(own, secgroup.GroupID(name))
		}
	}
	slices.Sort(own)
	return own
}

// unbound says why a port is not bound here, if so.
func (s *southbound) unbound(row *ovnsb.PortBinding) string {
	switch {
	case s.everywhere, row.Type == "localport":
		return ""
	case s.us == "":
		return fmt.Sprintf("this host's system-id %.64q is no chassis of the Southbound database", s.cfg.Chassis)
	case row.Chassis == nil:
		return "no chassis has bound it"
	case *row.Chassis != s.us && !slices.Contains(row.AdditionalChassis, s.us):
		return "it is bound on " + s.chassisName(*row.Chassis)
	case row.Up != nil && !*row.Up:
		return "ovn-controller has not reported it up"
	}
	return ""
}

// migrating says whether a port that is bound here is, or is about to be, on another host,
// too, or in its place.
func (s *southbound) migrating(row *ovnsb.PortBinding) string {
	if to := slices.Concat(row.AdditionalChassis, row.RequestedAdditionalChassis); slices.Contains(to, s.us) {
		return "it is to move here"
	} else if len(to) > 0 {
		return "it is to move to " + s.chassisName(to[0])
	}
	switch hosts := row.Options["requested-chassis"]; {
	case strings.Contains(hosts, ","):
		return fmt.Sprintf("it is to move: requested-chassis is %.128q", hosts)
	case row.RequestedChassis != nil && *row.RequestedChassis != s.us:
		return "it is to be bound on " + s.chassisName(*row.RequestedChassis)
	}
	return ""
}

func (s *southbound) chassisName(uuid string) string {
	if c := s.chassis[uuid]; c != nil && c.Hostname != "" {
		return fmt.Sprintf("%.64q", c.Hostname)
	} else if c != nil {
		return fmt.Sprintf("chassis %.64q", c.Name)
	}
	return "a chassis that is not there"
}

// anomaly says why it cannot be told what is permitted at a port.
func (s *southbound) anomaly(row *ovnsb.PortBinding, d *datapath, own []secgroup.GroupID) string {
	switch {
	case d.key == 0:
		return "its logical switch is not in the database"
	case !d.whole(flows.Egress) || !d.whole(flows.Ingress):
		return "the flows for ACLs of its logical switch are not in the database"
	}
	return anomaly(neutronPort{
		ids: row.ExternalIDs, secured: len(row.PortSecurity) > 0, groups: own,
		group:     func(name string) secgroup.GroupID { return groupOf(d.key, name) },
		dropGroup: s.cfg.DropGroup, drops: d.drops[flows.Egress] > 0 && d.drops[flows.Ingress] > 0,
	})
}
