package ovn

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnnb"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

// flush makes the rows anew that depend on what has changed.
func (n *northbound) flush() {
	for uuid := range n.dirtyGroups {
		n.makeGroup(uuid)
	}
	for uuid := range n.dirtySwitches {
		n.makeSwitch(uuid)
	}
	for uuid := range n.dirtyACLs {
		n.makeACL(uuid)
	}
	for uuid := range n.dirtyPorts {
		n.makePort(uuid)
	}
	for _, dirty := range []names{n.dirtyGroups, n.dirtySwitches, n.dirtyACLs, n.dirtyPorts} {
		clear(dirty)
	}
}

// set notes what a row is now: nil if there is none.
func set[T any](n *northbound, table, uuid string, now *T) {
	old, _ := n.made[table][uuid].(*T)
	if old == nil && now == nil || old != nil && now != nil && reflect.DeepEqual(old, now) {
		return
	}
	c := client.Change{Table: table, UUID: uuid}
	if old != nil {
		c.Old = old
	}
	if n.made[table] == nil {
		n.made[table] = map[string]any{}
	}
	delete(n.made[table], uuid)
	if now != nil {
		c.New, n.made[table][uuid] = now, now
	}
	n.news = append(n.news, c)
}

// key returns the tunnel key of a switch, as good as one of northd's.
func (n *northbound) key(uuid string) int {
	if n.keys[uuid] == 0 {
		n.lastKey++
		n.keys[uuid] = n.lastKey
	}
	return n.keys[uuid]
}

// makeGroup makes a group's rows for each switch on which it has ports, and its address sets.
func (n *northbound) makeGroup(uuid string) {
	g := n.groups[uuid]
	members := map[string][]string{}
	var addresses [2][]string
	if g != nil {
		for _, port := range g.Ports {
			p, on := n.ports[port], n.switchOf[port]
			if p == nil || on == "" {
				continue
			}
			members[on] = append(members[on], p.Name)
			addAddresses(&addresses, p)
		}
	}
	before, now := n.spread[uuid], names{}
	for on, ports := range members {
		now.add(on)
		slices.Sort(ports)
		set(n, ovnsb.PortGroupTable, uuid+"/"+on, &ovnsb.PortGroup{Name: string(groupOf(n.key(on), g.Name)), Ports: ports})
	}
	for on := range before {
		if !now.has(on) {
			set[ovnsb.PortGroup](n, ovnsb.PortGroupTable, uuid+"/"+on, nil)
		}
	}
	n.makeSets(uuid, g, addresses)
	if n.spread[uuid] = now; len(now) == 0 {
		delete(n.spread, uuid)
	}
	if g != nil && !maps.Equal(before, now) {
		for _, acl := range g.ACLs {
			n.dirtyACLs.add(acl)
		}
	}
	if !maps.Equal(before, now) {
		for _, spread := range []names{before, now} {
			for on := range spread {
				n.dirtySwitches.add(on)
			}
		}
	}
}

// makeSets makes the address sets that northd makes of the members of a group.
func (n *northbound) makeSets(uuid string, g *ovnnb.PortGroup, addresses [2][]string) {
	for i, suffix := range []string{"_ip4", "_ip6"} {
		var row *ovnsb.AddressSet
		if g != nil {
			slices.Sort(addresses[i])
			row = &ovnsb.AddressSet{Name: g.Name + suffix, Addresses: slices.Compact(addresses[i])}
		}
		set(n, ovnsb.AddressSetTable, uuid+suffix, row)
	}
}

// addAddresses adds the IPv4 and IPv6 addresses of a port: each of its addresses is a MAC,
// or "dynamic", and IP addresses (extract_lsp_addresses in OVN's lib/ovn-util.c).
func addAddresses(to *[2][]string, p *ovnnb.LogicalSwitchPort) {
	all := slices.Clone(p.Addresses)
	if p.DynamicAddresses != nil {
		all = append(all, *p.DynamicAddresses)
	}
	for _, line := range all {
		fields := strings.Fields(line)
		if len(fields) < 2 || !isMAC(fields[0]) {
			continue
		}
		for _, text := range fields[1:] {
			text, _, _ = strings.Cut(text, "/")
			switch c, err := parsePlain(text); {
			case err != nil:
			case c.format == ipv4:
				to[0] = append(to[0], text)
			case c.format == ipv6:
				to[1] = append(to[1], text)
			}
		}
	}
}

// makeSwitch makes a switch's datapath, and what happens on it to what no ACL matches.
func (n *northbound) makeSwitch(uuid string) {
	ls := n.switches[uuid]
	if ls == nil {
		set[ovnsb.DatapathBinding](n, ovnsb.DatapathBindingTable, uuid, nil)
		for stage := range baseFlows {
			set[ovnsb.LogicalFlow](n, ovnsb.LogicalFlowTable, uuid+"/"+stage, nil)
		}
		delete(n.stateful, uuid)
		delete(n.keys, uuid)
		return
	}
	set(n, ovnsb.DatapathBindingTable, uuid, &ovnsb.DatapathBinding{TunnelKey: n.key(uuid)})
	stateful, some := false, false
	n.eachACL(uuid, func(acl string) bool {
		row := n.acls[acl]
		some = some || row != nil
		stateful = row != nil && row.Action == ovnnb.ACLActionAllowRelated
		return !stateful
	})
	if stateful != n.stateful.has(uuid) {
		if delete(n.stateful, uuid); stateful {
			n.stateful.add(uuid)
		}
		n.eachACL(uuid, func(acl string) bool { n.dirtyACLs.add(acl); return true })
	}
	for stage, action := range baseFlows {
		if n.closed && some && strings.HasSuffix(stage, "_action") {
			action = "drop;"
		}
		set(n, ovnsb.LogicalFlowTable, uuid+"/"+stage, &ovnsb.LogicalFlow{
			Match: "1", Actions: action, LogicalDatapath: &uuid, ExternalIDs: map[string]string{"stage-name": stage},
		})
	}
}

// baseFlows are the last flows of the stages, with what they do.
var baseFlows = map[string]string{
	"ls_in_acl_eval": "next;", "ls_in_acl_action": "next;",
	"ls_in_acl_after_lb_eval": "next;", "ls_in_acl_after_lb_action": "next;",
	"ls_out_acl_eval": "next;", "ls_out_acl_action": "next;",
}

// eachACL calls f with the ACLs that apply on a switch, for as long as it returns true.
func (n *northbound) eachACL(uuid string, f func(acl string) bool) {
	owners := [][]string{}
	if ls := n.switches[uuid]; ls != nil {
		owners = append(owners, ls.ACLs)
	}
	for group, on := range n.spread {
		if g := n.groups[group]; g != nil && on.has(uuid) {
			owners = append(owners, g.ACLs)
		}
	}
	for _, acls := range owners {
		for _, acl := range acls {
			if !f(acl) {
				return
			}
		}
	}
}

// disabledPort takes the place of the type of a port that is switched off.
const disabledPort = "disabled"

// makePort makes a port's binding.
func (n *northbound) makePort(uuid string) {
	p, on := n.ports[uuid], n.switchOf[uuid]
	if p == nil || on == "" {
		set[ovnsb.PortBinding](n, ovnsb.PortBindingTable, uuid, nil)
		return
	}
	kind := p.Type
	if p.Enabled != nil && !*p.Enabled {
		kind = disabledPort
	}
	set(n, ovnsb.PortBindingTable, uuid, &ovnsb.PortBinding{
		LogicalPort: p.Name, Datapath: on, Type: kind, ExternalIDs: p.ExternalIDs,
		Options: p.Options, PortSecurity: p.PortSecurity,
	})
}
