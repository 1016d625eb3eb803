package ovn

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// TestOutlets has an ACL that denies, and ports that lead out of the switch or do not: only
// there it concerns instances in their other direction.
func TestOutlets(t *testing.T) {
	const dp = "250b555e-0905-4a0b-b326-37eff18b1d17"
	r := newSouthRig(t)
	match := func(s string) string { return `{"match": ` + string(one("reg0[10] == 1 && ("+s+")")) + `}` }
	r.change(ovnsb.LogicalFlowTable, "new", `{"match": "reg0[10] == 1 && (ip4.dst == 192.0.2.1 && tcp.dst == 22)", "actions": "drop;", "priority": 1500,
		"external_ids": {"stage-name": "ls_out_acl", "stage-hint": "1"}, "logical_datapath": "`+dp+`"}`)
	for _, step := range []struct {
		table, uuid, columns string
		there                bool
	}{
		{ovnsb.LogicalFlowTable, "new", `{"priority": 1501}`, false},
		{ovnsb.PortBindingTable, "router", `{"logical_port": "router", "datapath": "` + dp + `", "type": "patch"}`, true},
		{ovnsb.PortBindingTable, "router", `{"type": "localport"}`, false},
		{ovnsb.PortBindingTable, "router", `{"type": "localnet"}`, true},
		{ovnsb.LogicalFlowTable, "new", match(`outport == "a" && ip4.dst == 192.0.2.1 && tcp.dst == 22`), false},
		{ovnsb.LogicalFlowTable, "new", match(`outport == "router" && ip4.dst == 192.0.2.1 && tcp.dst == 22`), true},
		{ovnsb.PortGroupTable, "pg", `{"name": "1_pg", "ports": ["a"]}`, true},
		{ovnsb.LogicalFlowTable, "new", match(`outport == @pg && ip4.dst == 192.0.2.1 && tcp.dst == 22`), false},
		{ovnsb.PortGroupTable, "pg", `{"ports": ["a", "router"]}`, true},
		{ovnsb.PortBindingTable, "router", `{"options": {"a": "b"}}`, true},
		{ovnsb.PortGroupTable, "pg", `{"ports": ["a"]}`, false},
		{ovnsb.PortGroupTable, "pg", `{"ports": ["a", "router"]}`, true},
		{ovnsb.LogicalFlowTable, "new", `{"actions": "next;"}`, false},
		{ovnsb.LogicalFlowTable, "new", `{"actions": "drop;"}`, true},
		{ovnsb.PortBindingTable, "router", `null`, false},
	} {
		r.change(step.table, step.uuid, step.columns)
		rule := r.ledger().rules["new.1"]
		if (rule != nil) != step.there {
			t.Errorf("%s %s: %+v", step.table, step.columns, rule)
		} else if rule != nil && (rule.Direction != flows.Egress || rule.Action != secgroup.Unknown || rule.Matches[0].Remote.Prefixes[0] != prefixes("192.0.2.1/32")[0]) {
			t.Errorf("%s %s: %+v", step.table, step.columns, rule)
		}
		r.consistent()
	}
}

// TestOutletOfOpenPort: what has no port security and no ACLs of its own is still judged
// where it leaves the switch.
func TestOutletOfOpenPort(t *testing.T) {
	const dp = "250b555e-0905-4a0b-b326-37eff18b1d17"
	r := newSouthRig(t)
	r.change(ovnsb.PortGroupTable, "2caf2257", `{"ports": ["`+string(db1)+`"]}`)
	r.change(ovnsb.PortGroupTable, "a56fb398", `{"ports": []}`)
	r.change(ovnsb.PortBindingTable, string(web1), `{"port_security": [], "external_ids": {"neutron:security_group_ids": ""}}`)
	r.change(ovnsb.PortBindingTable, "router", `{"logical_port": "router", "datapath": "`+dp+`", "type": "patch"}`)
	for columns, open := range map[string]bool{
		`{"match": "reg0[10] == 1 && (outport == \"router\" && ip4)", "actions": "drop;", "priority": 1500,
			"external_ids": {"stage-name": "ls_out_acl", "stage-hint": "1"}, "logical_datapath": "` + dp + `"}`: false,
		`null`: true,
	} {
		r.change(ovnsb.LogicalFlowTable, "new", columns)
		if p := r.port(web1); p.Open != open {
			t.Errorf("%s: %+v", columns, p)
		}
		r.consistent()
	}
}
