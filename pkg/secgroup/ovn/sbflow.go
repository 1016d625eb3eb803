package ovn

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// onLogicalFlow notes a flow, if its stage is one of ACLs, or it switches a port off.
func (s *southbound) onLogicalFlow(uuid string, old, now *ovnsb.LogicalFlow) {
	s.noteDisabled(uuid, old, now)
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
	s.forgetOutlets(uuid, f.on)
	f.acl, f.on = nil, nil
	if f.row != nil {
		if f.on = s.datapathsOf(f.row); len(f.on) > 0 {
			if f.acl = newACL(f.row, f.stage, s.ledger); s.nameOf != nil {
				f.acl.name = s.nameOf(f.row)
			}
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

// tellFlow tells the rules that a flow comes to, and takes back those that it came to. OVN
// refuses a flow where a port group that it names has no ports: it permits nothing there
// then, and in case that another release reads it, it is unknown what it denies.
func (s *southbound) tellFlow(uuid string, f *flowState) {
	n := 0
	if a := f.acl; a != nil && a.action != 0 {
		good, bad := s.withGroups(a, f.on)
		s.tellParts(uuid, &n, a, s.setTrouble(a), good)
		if a.action >= secgroup.Drop {
			s.tellParts(uuid, &n, a, "it names a port group that has no ports on the switch", bad)
		}
		s.tellOutlets(uuid, &n, a, f.on)
	}
	for i := n; i < f.rules; i++ {
		s.ledger.rule(ruleID(uuid, i), nil)
	}
	f.rules = n
}

// tellParts tells the parts of an ACL on some datapaths, with numbers from n on.
func (s *southbound) tellParts(uuid string, n *int, a *acl, doubt string, on []string) {
	if len(on) == 0 {
		return
	}
	for i := range a.parts {
		s.ledger.rule(ruleID(uuid, *n), a.rule(&a.parts[i], doubt, s.groupsOf(a.parts[i].port, on)))
		*n++
	}
}

// withGroups tells the datapaths on which all port groups have ports that an ACL names from
// the others.
func (s *southbound) withGroups(a *acl, on []string) (good, bad []string) {
	for _, uuid := range on {
		lacks := func(name string) bool {
			_, there := s.portGroups[string(groupOf(s.datapaths[uuid].key, name))]
			return !there
		}
		if slices.ContainsFunc(a.groups, lacks) {
			bad = append(bad, uuid)
		} else {
			good = append(good, uuid)
		}
	}
	return good, bad
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
	var ids []secgroup.GroupID
	for _, uuid := range on {
		ids = append(ids, p.on(s.datapaths[uuid].key))
	}
	return ids
}

// count adds a flow to, or takes it from, what is known of its datapaths.
func (s *southbound) count(uuid string, f *flowState, by int) {
	a := f.acl
	if a == nil {
		return
	}
	note := insert
	if by < 0 {
		note = remove
	}
	for _, use := range a.sets {
		note(s.users, use.name, uuid)
	}
	for _, group := range a.groups {
		note(s.groupUsers, group, uuid)
	}
	for _, on := range f.on {
		if d := s.datapaths[on]; d != nil {
			s.countOn(d, a, by)
			s.dirtyDatapaths.add(on)
		}
	}
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
	if a.tracks || a.hinted {
		d.tracked += by
	}
	if a.hint != "" {
		d.judged += by
	}
	if a.hint != "" && a.action != 0 {
		s.countACL(d, a, by)
	}
	if was != [...]bool{d.whole(dir), d.drops[dir] > 0, d.acls > 0} {
		s.redoPorts(d)
	}
}

// countACL counts an ACL for the ports that it concerns without a port group.
func (s *southbound) countACL(d *datapath, a *acl, by int) {
	for _, p := range a.parts {
		switch {
		case p.port.name == "":
			d.acls += by
		case !p.port.group:
			d.countPortACL(p.port.name, by)
			s.touch(p.port.name)
		}
	}
}

// tellUntracked tells, or takes back, the rules that stand for what happens to packets that
// no ACL matches on a switch that has ACLs and none of them stateful: they pass, as others
// do, without conntrack, so their replies are judged for themselves.
func (s *southbound) tellUntracked(uuid string) {
	d := s.datapath(uuid)
	defer s.forget(uuid)
	for _, dir := range []flows.Direction{flows.Egress, flows.Ingress} {
		id := secgroup.RuleID(fmt.Sprintf("stateless:%s:%s", uuid, dir))
		if d.key == 0 || d.judged == 0 || d.tracked > 0 {
			s.ledger.rule(id, nil)
			continue
		}
		s.ledger.rule(id, &secgroup.Rule{
			Name:   "no ACL of the switch is stateful",
			Groups: []secgroup.GroupID{switchOf(d.key)}, Direction: dir,
			Tier: lastTier, Action: secgroup.AllowStateless, Matches: []secgroup.Match{{}},
		})
	}
}
