package ovn

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnnb"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

// makeACL makes an ACL's flow, in the form of OVN 23.06: one for the switches on which it
// goes by conntrack, and one for those that have no stateful ACL.
func (n *northbound) makeACL(uuid string) {
	row := n.acls[uuid]
	var on [2][]string
	for owner := range n.owners[uuid] {
		for _, ls := range n.switchesOf(owner) {
			i := 0
			if n.stateful.has(ls) {
				i = 1
			}
			on[i] = append(on[i], ls)
		}
	}
	for i, id := range []string{uuid + "/bare", uuid} {
		var flow *ovnsb.LogicalFlow
		var group *ovnsb.LogicalDPGroup
		if row != nil && len(on[i]) > 0 {
			slices.Sort(on[i])
			group = &ovnsb.LogicalDPGroup{Datapaths: slices.Compact(on[i])}
			flow = flowOf(row, uuid, i == 1)
			flow.LogicalDpGroup = &id
		}
		set(n, ovnsb.LogicalDPGroupTable, id, group)
		set(n, ovnsb.LogicalFlowTable, id, flow)
	}
}

// verdicts are the actions of flows by those of ACLs. Others are left unknown.
var verdicts = map[string]string{
	"allow": "reg8[16] = 1; next;", "allow-related": "reg8[16] = 1; next;", "allow-stateless": "reg8[16] = 1; next;",
	"drop": "reg8[17] = 1; next;", "reject": "reg8[18] = 1; next;", "pass": "next;",
}

// aclOffset is what northd adds to the priorities of ACLs (OVN_ACL_PRI_OFFSET).
const aclOffset = 1000

func flowOf(row *nbACL, uuid string, stateful bool) *ovnsb.LogicalFlow {
	match := "(" + row.Match + ")"
	if stateful && row.Action != "allow-stateless" && row.Action != "pass" {
		match = "reg0[8] == 1 && " + match
	}
	if row.Tier != 0 {
		match = fmt.Sprintf("reg8[30..31] == %d && %s", row.Tier, match)
	}
	actions, known := verdicts[row.Action]
	if !known {
		actions = row.Action
	}
	stage := "ls_out_acl_eval"
	switch {
	case row.Direction != ovnnb.ACLDirectionFromLport:
	case strings.EqualFold(row.Options["apply-after-lb"], "true"):
		stage = "ls_in_acl_after_lb_eval"
	default:
		stage = "ls_in_acl_eval"
	}
	return &ovnsb.LogicalFlow{
		Match: match, Actions: actions, Priority: row.Priority + aclOffset,
		ExternalIDs: map[string]string{"stage-name": stage, "stage-hint": uuid},
	}
}

// nameOf names the rules of a flow by the network service's own names of rule and group.
func (n *northbound) nameOf(flow *ovnsb.LogicalFlow) string {
	uuid := flow.ExternalIDs["stage-hint"]
	row := n.acls[uuid]
	if row == nil {
		return "default_acl_drop"
	}
	name := "ACL " + uuid
	if id := row.ExternalIDs["neutron:security_group_rule_id"]; id != "" {
		name = "security group rule " + id
	}
	for _, owner := range slices.Sorted(maps.Keys(n.owners[uuid])) {
		if g := n.groups[owner]; g != nil {
			name += " of " + g.Name
		}
	}
	return shortened(name + ": " + row.Match)
}

// asSouthbound returns an address set as northd copies it.
func asSouthbound(row any) *ovnsb.AddressSet {
	if r := client.Row[ovnnb.AddressSet](row); r != nil {
		return &ovnsb.AddressSet{UUID: r.UUID, Name: r.Name, Addresses: r.Addresses}
	}
	return nil
}
