package ovn

import "github.com/flowshunt/flowshunt/flows"

// datapath is what rows say of one logical switch or router.
type datapath struct {
	key             int   // its tunnel key; 0: there is no such row (yet)
	ports           names // rows of Port_Binding
	ours            int   // of these may be bound here
	outlets         int   // of these lead out of the switch
	leading         names // flows that deny at these, and so at all others
	flows           names // rows of Logical_Flow that name it
	groups          names // rows of Logical_DP_Group that hold it
	bases           [2][stageKinds]int
	drops           [2]int         // ACLs that drop all of the drop group
	acls            int            // ACLs that concern all its ports
	portACLs        map[string]int // ACLs that concern a single port
	judged, tracked int            // ACLs, and flows that depend on conntrack
}

// matters reports whether flows on the datapath can concern ports of this host.
func (d *datapath) matters() bool { return d.ours > 0 && d.key != 0 }

// whole reports whether the stages of ACLs are there in one direction: a stage that is not
// drops everything, and may be one whose rows have not arrived.
func (d *datapath) whole(dir flows.Direction) bool {
	b := &d.bases[dir]
	return b[acts] > 0 || b[judges] > 0 && b[carries] > 0
}

func (d *datapath) countPortACL(port string, by int) {
	if d.portACLs == nil {
		d.portACLs = map[string]int{}
	}
	if d.portACLs[port] += by; d.portACLs[port] == 0 {
		delete(d.portACLs, port)
	}
}

func (d *datapath) empty() bool {
	return d.key == 0 && len(d.ports)+len(d.flows)+len(d.groups) == 0
}

// datapath returns the one of a uuid. It is made if need be: rows can refer to one before it
// is told.
func (s *southbound) datapath(uuid string) *datapath {
	d := s.datapaths[uuid]
	if d == nil {
		d = &datapath{}
		s.datapaths[uuid] = d
	}
	return d
}

// forget drops a datapath that nothing refers to any more.
func (s *southbound) forget(uuid string) {
	if d := s.datapaths[uuid]; d != nil && d.empty() {
		delete(s.datapaths, uuid)
	}
}

// redo marks all that depends on a datapath.
func (s *southbound) redo(d *datapath) {
	s.redoPorts(d)
	for uuid := range d.flows {
		s.dirtyFlows.add(uuid)
	}
	for group := range d.groups {
		for uuid := range s.groupFlows[group] {
			s.dirtyFlows.add(uuid)
		}
	}
}

func (s *southbound) redoPorts(d *datapath) {
	for uuid := range d.ports {
		s.dirtyPorts.add(uuid)
	}
}
