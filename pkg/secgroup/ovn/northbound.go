package ovn

import (
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnnb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// northbound does for a Northbound database what northd does: it makes rows of the
// Southbound one, as far as ACLs need them, and has these understood. Its methods on... take
// the change of one row.
type northbound struct {
	south    *southbound
	switches map[string]*ovnnb.LogicalSwitch
	ports    map[string]*ovnnb.LogicalSwitchPort
	groups   map[string]*ovnnb.PortGroup
	acls     map[string]*nbACL

	switchOf map[string]string // of a port
	memberOf map[string]names  // groups of a port
	owners   map[string]names  // switches and groups of an ACL
	spread   map[string]names  // switches that a group has ports on
	keys     map[string]int    // of switches
	lastKey  int
	stateful names // switches with a stateful ACL
	closed   bool  // what no ACL of a switch with ACLs matches is dropped
	nbCfg    int

	dirtySwitches, dirtyPorts, dirtyGroups, dirtyACLs names

	made map[string]map[string]any // the rows that were made, by table and uuid
	news client.Batch              // what is changed of them
}

func newNorthbound(cfg Config) *northbound {
	n := &northbound{
		south:    newSouthbound(cfg),
		switches: map[string]*ovnnb.LogicalSwitch{}, ports: map[string]*ovnnb.LogicalSwitchPort{},
		groups: map[string]*ovnnb.PortGroup{}, acls: map[string]*nbACL{},
		switchOf: map[string]string{}, memberOf: map[string]names{}, owners: map[string]names{}, spread: map[string]names{},
		keys: map[string]int{}, stateful: names{}, made: map[string]map[string]any{},
		dirtySwitches: names{}, dirtyPorts: names{}, dirtyGroups: names{}, dirtyACLs: names{},
	}
	n.south.everywhere, n.south.nameOf = true, n.nameOf
	return n
}

// NewNorthbound returns a source that reads the ACLs as the network service writes them:
// earlier than northd has worked on them, and with the names that it gives its rules. It
// does not say which ports are bound. Nothing is read before Run.
func NewNorthbound(cfg Config) (*Source, error) {
	c, err := cfg.client("OVN_Northbound", northboundTables())
	if err != nil {
		return nil, err
	}
	return &Source{c, func() translator { return newNorthbound(cfg) }}, nil
}

// snapshot returns everything, as the first news of a connection.
func (n *northbound) snapshot(rows client.Batch) secgroup.News {
	n.apply(rows)
	return secgroup.News{Update: n.south.ledger.all(), Revision: uint64(max(n.nbCfg, 0)) + 1}
}

// apply notes changes, in their order, and returns what is to be told of them.
func (n *northbound) apply(changes client.Batch) secgroup.News {
	counted := false
	for _, c := range changes {
		counted = n.change(c)
	}
	n.flush()
	news := secgroup.News{Update: n.south.apply(n.news).Update, Revision: uint64(max(n.nbCfg, 0))}
	n.news = nil
	if !counted && news.Update != nil {
		news.Revision++
	}
	return news
}

// change notes one change. Counted is as in southbound.change.
func (n *northbound) change(c client.Change) (counted bool) {
	switch c.Table {
	case ovnnb.LogicalSwitchTable:
		n.onSwitch(c.UUID, client.Row[ovnnb.LogicalSwitch](c.New))
	case ovnnb.LogicalSwitchPortTable:
		n.onPort(c.UUID, client.Row[ovnnb.LogicalSwitchPort](c.New))
	case ovnnb.PortGroupTable:
		n.onGroup(c.UUID, client.Row[ovnnb.PortGroup](c.New))
	case ovnnb.ACLTable:
		n.onACL(c.UUID, client.Row[nbACL](c.New))
	case ovnnb.AddressSetTable:
		n.south.onAddressSet(c.UUID, asSouthbound(c.Old), asSouthbound(c.New))
	case ovnnb.NBGlobalTable:
		old, now := client.Row[ovnnb.NBGlobal](c.Old), client.Row[ovnnb.NBGlobal](c.New)
		n.onGlobal(now)
		return old != nil && now != nil && old.NbCfg != now.NbCfg
	}
	return false
}

func (n *northbound) onGlobal(now *ovnnb.NBGlobal) {
	if now == nil {
		return
	}
	n.nbCfg = now.NbCfg
	if closed := strings.EqualFold(now.Options["default_acl_drop"], "true"); closed != n.closed {
		n.closed = closed
		for uuid := range n.switches {
			n.dirtySwitches.add(uuid)
		}
	}
}

func (n *northbound) onSwitch(uuid string, now *ovnnb.LogicalSwitch) {
	var ports, acls [2][]string
	if old := n.switches[uuid]; old != nil {
		ports[0], acls[0] = old.Ports, old.ACLs
	}
	delete(n.switches, uuid)
	if now != nil {
		n.switches[uuid] = now
		ports[1], acls[1] = now.Ports, now.ACLs
	}
	gone, come := differences(ports[0], ports[1])
	for _, port := range gone {
		if n.switchOf[port] == uuid {
			delete(n.switchOf, port)
		}
		n.redoPort(port)
	}
	for _, port := range come {
		n.switchOf[port] = uuid
		n.redoPort(port)
	}
	n.own(uuid, acls[0], acls[1])
	n.dirtySwitches.add(uuid)
}

// redoPort marks a port and the groups that it is in.
func (n *northbound) redoPort(uuid string) {
	n.dirtyPorts.add(uuid)
	for group := range n.memberOf[uuid] {
		n.dirtyGroups.add(group)
	}
}

func (n *northbound) onPort(uuid string, now *ovnnb.LogicalSwitchPort) {
	delete(n.ports, uuid)
	if now != nil {
		n.ports[uuid] = now
	}
	n.redoPort(uuid)
}

func (n *northbound) onGroup(uuid string, now *ovnnb.PortGroup) {
	var ports, acls [2][]string
	if old := n.groups[uuid]; old != nil {
		ports[0], acls[0] = old.Ports, old.ACLs
	}
	delete(n.groups, uuid)
	if now != nil {
		n.groups[uuid] = now
		ports[1], acls[1] = now.Ports, now.ACLs
	}
	gone, come := differences(ports[0], ports[1])
	for _, port := range gone {
		remove(n.memberOf, port, uuid)
	}
	for _, port := range come {
		insert(n.memberOf, port, uuid)
	}
	n.own(uuid, acls[0], acls[1])
	n.dirtyGroups.add(uuid)
}

// own notes which ACLs a switch or a group has.
func (n *northbound) own(owner string, old, now []string) {
	gone, come := differences(old, now)
	for _, acl := range gone {
		remove(n.owners, acl, owner)
		n.dirtyACLs.add(acl)
	}
	for _, acl := range come {
		insert(n.owners, acl, owner)
		n.dirtyACLs.add(acl)
	}
	if len(gone)+len(come) > 0 {
		n.redoSwitches(owner)
	}
}

// redoSwitches marks a switch, or those that a group has ports on.
func (n *northbound) redoSwitches(owner string) {
	for _, uuid := range n.switchesOf(owner) {
		n.dirtySwitches.add(uuid)
	}
}

func (n *northbound) onACL(uuid string, now *nbACL) {
	delete(n.acls, uuid)
	if now != nil {
		n.acls[uuid] = now
	}
	n.dirtyACLs.add(uuid)
	for owner := range n.owners[uuid] {
		n.redoSwitches(owner)
	}
}

// switchesOf returns a switch itself, or those on which a group was last seen to have ports.
func (n *northbound) switchesOf(owner string) []string {
	if _, ok := n.switches[owner]; ok {
		return []string{owner}
	}
	var on []string
	for uuid := range n.spread[owner] {
		on = append(on, uuid)
	}
	return on
}

// differences returns what is in old only, and what is in now only.
func differences(old, now []string) (gone, come []string) {
	before := names{}
	for _, s := range old {
		before.add(s)
	}
	for _, s := range now {
		if !before.has(s) {
			come = append(come, s)
		}
		delete(before, s)
	}
	for s := range before {
		gone = append(gone, s)
	}
	return gone, come
}

func insert(sets map[string]names, key, name string) {
	set := sets[key]
	set.add(name)
	sets[key] = set
}

func remove(sets map[string]names, key, name string) {
	delete(sets[key], name)
	if len(sets[key]) == 0 {
		delete(sets, key)
	}
}
