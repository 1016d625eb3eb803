package ovn

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// onLogicalFlow notes a flow, if its stage is one of ACLs.
func (s *southbound) onLogicalFlow(uuid string, _, now *ovnsb.LogicalFlow) {
	var of stage
	known := false
	if now != nil {
		of, known = stages[now.ExternalIDs["stage-name"]]
	}
	f := s.flows[uuid]
	switch {
	case f != nil:
		s.unlink(uuid, f)
	case known:
		f = &flowState{}
		s.flows[uuid] = f
	default:
		return
	}
	f.row, f.stage = nil, of
	if known {
		f.row = now
		s.link(uuid, now)
	}
	s.dirtyFlows.add(uuid)
}

// link makes a flow known to where it applies.
func (s *southbound) link(uuid string, row *ovnsb.LogicalFlow) {
	if row.LogicalDatapath != nil {
		s.datapath(*row.LogicalDatapath).flows.add(uuid)
	}
	if row.LogicalDpGroup != nil {
		of := s.groupFlows[*row.LogicalDpGroup]
		of.add(uuid)
		s.groupFlows[*row.LogicalDpGroup] = of
	}
	if mentionsLabel(row) {
		s.labels++
	}
}

func (s *southbound) unlink(uuid string, f *flowState) {
	row := f.row
	if row == nil {
		return
	}
	if row.LogicalDatapath != nil {
		delete(s.datapath(*row.LogicalDatapath).flows, uuid)
		s.forget(*row.LogicalDatapath)
	}
	if group := row.LogicalDpGroup; group != nil {
		delete(s.groupFlows[*group], uuid)
		if len(s.groupFlows[*group]) == 0 {
			delete(s.groupFlows, *group)
		}
	}
	if mentionsLabel(row) {
		s.labels--
	}
}

// flushFlow works out one flow anew.
func (s *southbound) flushFlow(uuid string) {
	f := s.flows[uuid]
	if f == nil {
		return
	}
	s.count(uuid, f, -1)
	f.acl, f.on = nil, nil
	if f.row != nil {
		if f.on = s.datapathsOf(f.row); len(f.on) > 0 {
			f.acl = newACL(f.row, f.stage)
		}
	} else {
		delete(s.flows, uuid)
	}
	s.count(uuid, f, +1)
	s.tellFlow(uuid, f)
}

// datapathsOf returns the datapaths with ports of this host that a flow applies to, sorted
// by tunnel key.
func (s *southbound) datapathsOf(row *ovnsb.LogicalFlow) []string {
	var on []string
	add := func(uuid string) {
		if d := s.datapaths[uuid]; d != nil && d.matters() && !slices.Contains(on, uuid) {
			on = append(on, uuid)
		}
	}
	if row.LogicalDatapath != nil {
		add(*row.LogicalDatapath)
	}
	if row.LogicalDpGroup != nil && s.groups[*row.LogicalDpGroup] != nil {
		for _, uuid := range s.groups[*row.LogicalDpGroup].Datapaths {
			add(uuid)
		}
	}
	slices.SortFunc(on, func(a, b string) int { return cmp.Compare(s.datapaths[a].key, s.datapaths[b].key) })
	return on
}

// tellFlow tells the rules that a flow comes to, and takes back those that it came to.
func (s *southbound) tellFlow(uuid string, f *flowState) {
	n := 0
	if a := f.acl; a != nil && a.action != 0 {
		doubt := s.setTrouble(a)
		for i := range a.parts {
			s.ledger.rule(ruleID(uuid, n), a.rule(&a.parts[i], doubt, s.groupsOf(a.parts[i].port, f.on)))
			n++
		}
	}
	for i := n; i < f.rules; i++ {
		s.ledger.rule(ruleID(uuid, i), nil)
	}
	f.rules = n
}

func ruleID(uuid string, n int) secgroup.RuleID {
	if n == 0 {
		return secgroup.RuleID(uuid)
	}
	return secgroup.RuleID(uuid + "." + strconv.Itoa(n))
}

// setTrouble says which of an ACL's address sets OVN cannot use, or not as it reads.
func (s *southbound) setTrouble(a *acl) string {
	for _, use := range a.sets {
		if k := s.ledger.kind(use.name); !k.there {
			return fmt.Sprintf("there is no address set %s", use.name)
		} else if !k.fits(use) {
			return fmt.Sprintf("address set %s does not fit", use.name)
		}
	}
	return ""
}

// groupsOf returns whose ports fit a condition on some datapaths.
func (s *southbound) groupsOf(p portRef, on []string) []secgroup.GroupID {
	if p.name != "" && !p.group {
		return []secgroup.GroupID{portOf(p.name)}
	}
	var ids []secgroup.GroupID
	for _, uuid := range on {
		key := s.datapaths[uuid].key
		if p.group {
			ids = append(ids, groupOf(key, p.name))
		} else {
			ids = append(ids, switchOf(strconv.Itoa(key)))
		}
	}
	return ids
}

// count adds a flow to, or takes it from, what is known of its datapaths.
func (s *southbound) count(uuid string, f *flowState, by int) {
	a := f.acl
	if a == nil {
		return
	}
	for _, use := range a.sets {
		users := s.users[use.name]
		if users.add(uuid); by < 0 {
			delete(users, uuid)
		}
		if s.users[use.name] = users; len(users) == 0 {
			delete(s.users, use.name)
		}
	}
	for _, uuid := range f.on {
		if d := s.datapaths[uuid]; d != nil {
			s.countOn(d, a, by)
		}
	}
	if a.hint == "" || a.action == 0 {
		return
	}
	for _, p := range a.parts {
		if p.port.name != "" && !p.port.group {
			s.addPortACL(p.port.name, by)
		}
	}
}

func (s *southbound) addPortACL(port string, by int) {
	n := s.portACLs[port] + by
	if s.portACLs[port] = n; n == 0 {
		delete(s.portACLs, port)
	}
	s.touch(port)
}

func (s *southbound) countOn(d *datapath, a *acl, by int) {
	dir := a.stage.direction
	was := [...]bool{d.whole(dir), d.drops[dir] > 0, d.acls > 0}
	if a.base && !a.stage.afterLB {
		d.bases[dir][a.stage.kind] += by
	}
	if a.denies(s.cfg.DropGroup) {
		d.drops[dir] += by
	}
	if a.hint != "" && a.action != 0 {
		for _, p := range a.parts {
			if p.port == (portRef{}) {
				d.acls += by
			}
		}
	}
	if was != [...]bool{d.whole(dir), d.drops[dir] > 0, d.acls > 0} {
		s.redoPorts(d)
	}
}
