package ovn

import (
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

// southbound is the rows of a Southbound database, and what they come to. Its methods on...
// take the change of one row: nil was not there before, or is not there any
// more. flush then works out what that changes.
type southbound struct {
	cfg        Config
	ledger     *ledger
	chassis    map[string]*ovnsb.Chassis
	us         string // our row of these; empty: there is none
	datapaths  map[string]*datapath
	groups     map[string]*ovnsb.LogicalDPGroup
	groupFlows map[string]names // rows of Logical_Flow that name one of groups
	ports      map[string]*ovnsb.PortBinding
	members    map[string]names  // port groups by logical port, as they are named in the database
	bindings   map[string]string // rows of Port_Binding by logical port
	disabled   map[string]names  // rows of Logical_Flow that switch off a logical port
	flows      map[string]*flowState
	users      map[string]names // rows of Logical_Flow by the address set that they use
	groupUsers map[string]names // and by the port group that they name
	sets       map[string]held  // of addresses, by name
	portGroups map[string]held  // by name
	labels     int              // flows that test ct_label.blocked
	nbCfg      int
	everywhere bool // ports are taken as bound here, and switches as whole
	// nameOf names the rules of a flow. Nil: acl.nameFor.
	nameOf func(*ovnsb.LogicalFlow) string

	dirtyPorts, dirtyFlows, dirtySets, dirtyDatapaths names
}

// held is what a name stands for: members, and the row that has it. In a transaction that
// removes a row and adds another one of the same name, either can be told first.
type held struct {
	by      string // the row's uuid
	members []string
}

// flowState is a row of Logical_Flow, and what became of it.
type flowState struct {
	row   *ovnsb.LogicalFlow
	stage stage
	rules int      // that were told
	on    []string // the datapaths for which it was counted
	acl   *acl     // as it was counted
}

func newSouthbound(cfg Config) *southbound {
	return &southbound{
		cfg: cfg.withDefaults(), ledger: newLedger(),
		chassis: map[string]*ovnsb.Chassis{}, datapaths: map[string]*datapath{},
		groups: map[string]*ovnsb.LogicalDPGroup{}, groupFlows: map[string]names{},
		ports: map[string]*ovnsb.PortBinding{}, members: map[string]names{}, bindings: map[string]string{}, disabled: map[string]names{},
		flows: map[string]*flowState{}, users: map[string]names{}, groupUsers: map[string]names{},
		sets: map[string]held{}, portGroups: map[string]held{},
		dirtyPorts: names{}, dirtyFlows: names{}, dirtySets: names{}, dirtyDatapaths: names{},
	}
}

func (s *southbound) onChassis(uuid string, _, now *ovnsb.Chassis) {
	if now == nil {
		delete(s.chassis, uuid)
	} else {
		s.chassis[uuid] = now
	}
	us := ""
	if now != nil && now.Name == s.cfg.Chassis {
		us = uuid
	} else if uuid != s.us {
		return
	}
	if us != s.us {
		s.us = us
		s.recount()
	}
}

// recount counts anew which ports of each datapath may be bound here.
func (s *southbound) recount() {
	for _, d := range s.datapaths {
		ours := 0
		for uuid := range d.ports {
			if s.isOurs(s.ports[uuid]) {
				ours++
			}
		}
		d.ours = ours
		s.redo(d)
	}
}

func (s *southbound) onDatapathBinding(uuid string, _, now *ovnsb.DatapathBinding) {
	d := s.datapath(uuid)
	key := 0
	if now != nil {
		key = now.TunnelKey
	}
	if d.key != key {
		d.key = key
		s.redo(d)
		s.dirtyDatapaths.add(uuid)
	}
	s.forget(uuid)
}

func (s *southbound) onLogicalDPGroup(uuid string, old, now *ovnsb.LogicalDPGroup) {
	if old != nil {
		for _, dp := range old.Datapaths {
			delete(s.datapath(dp).groups, uuid)
			s.forget(dp)
		}
	}
	delete(s.groups, uuid)
	if now != nil {
		s.groups[uuid] = now
		for _, dp := range now.Datapaths {
			s.datapath(dp).groups.add(uuid)
		}
	}
	for flow := range s.groupFlows[uuid] {
		s.dirtyFlows.add(flow)
	}
}

func (s *southbound) onAddressSet(uuid string, old, now *ovnsb.AddressSet) {
	if old != nil && s.sets[old.Name].by == uuid {
		delete(s.sets, old.Name)
		s.dirtySets.add(old.Name)
	}
	if now != nil {
		s.sets[now.Name] = held{uuid, now.Addresses}
		s.dirtySets.add(now.Name)
	}
}

// onPortGroup notes which ports have joined or left a group, and these only.
func (s *southbound) onPortGroup(uuid string, old, now *ovnsb.PortGroup) {
	if old != nil && (now == nil || old.Name != now.Name) && s.portGroups[old.Name].by == uuid {
		for _, port := range s.portGroups[old.Name].members {
			s.leave(port, old.Name)
		}
		delete(s.portGroups, old.Name)
		s.redoUsers(old.Name)
	}
	if now == nil {
		return
	}
	if _, there := s.portGroups[now.Name]; !there {
		s.redoUsers(now.Name)
	}
	left, joined := differences(s.portGroups[now.Name].members, now.Ports)
	for _, port := range left {
		s.leave(port, now.Name)
	}
	for _, port := range joined {
		insert(s.members, port, now.Name)
		s.touch(port)
	}
	s.portGroups[now.Name] = held{uuid, now.Ports}
	s.redoOutlets(now.Name, left, joined)
}

// redoUsers marks the flows that name a port group, which has come to or gone from a switch.
func (s *southbound) redoUsers(group string) {
	_, name, _ := strings.Cut(group, "_")
	for flow := range s.groupUsers[name] {
		s.dirtyFlows.add(flow)
	}
}

// redoOutlets marks the flows that name a port group, if some ports lead out of the switch.
func (s *southbound) redoOutlets(group string, ports ...[]string) {
	for _, port := range slices.Concat(ports...) {
		if isOutlet(s.ports[s.bindings[port]]) {
			s.redoUsers(group)
			return
		}
	}
}

func (s *southbound) leave(port, group string) {
	remove(s.members, port, group)
	s.touch(port)
}

// touch marks a port by its name.
func (s *southbound) touch(port string) {
	if uuid, ok := s.bindings[port]; ok {
		s.dirtyPorts.add(uuid)
	}
}

func (s *southbound) onSBGlobal(_ string, _, now *ovnsb.SBGlobal) {
	if now != nil {
		s.nbCfg = now.NbCfg
	}
}

// flushSets tells what has changed of address sets. Flows that use one of another kind than
// before are worked out anew.
func (s *southbound) flushSets() {
	for name := range s.dirtySets {
		before := s.ledger.kind(name)
		if row, there := s.sets[name]; there {
			s.ledger.set(name, row.members)
		} else {
			s.ledger.dropSet(name)
		}
		for flow := range s.users[name] {
			if a := s.flows[flow].acl; a != nil && a.content || s.ledger.kind(name) != before {
				s.dirtyFlows.add(flow)
			}
		}
	}
	clear(s.dirtySets)
}

// flush works out what the changes since the last time come to.
func (s *southbound) flush() {
	s.flushSets()
	for uuid := range s.dirtyFlows {
		s.flushFlow(uuid)
	}
	clear(s.dirtyFlows)
	for uuid := range s.dirtyDatapaths {
		s.tellUntracked(uuid)
	}
	clear(s.dirtyDatapaths)
	for uuid := range s.dirtyPorts {
		if row := s.ports[uuid]; row != nil {
			s.ledger.port(flows.LogicalPort(row.LogicalPort), s.port(row))
		}
	}
	clear(s.dirtyPorts)
}

func mentionsLabel(row *ovnsb.LogicalFlow) bool {
	return row != nil && strings.Contains(row.Match, "ct_label.blocked")
}
