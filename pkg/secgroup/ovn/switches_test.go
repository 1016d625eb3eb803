package ovn

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// TestTwoSwitches has a flow for a group of switches, as northd writes it for a port group
// that has ports on both: it concerns those on which this host has ports.
func TestTwoSwitches(t *testing.T) {
	r := newSouthRig(t)
	r.change(ovnsb.DatapathBindingTable, "other", `{"tunnel_key": 2}`)
	for _, key := range []string{"1", "2", "9"} {
		r.change(ovnsb.PortGroupTable, "pg"+key, `{"name": "`+key+`_pg", "ports": ["p"]}`)
	}
	r.change(ovnsb.LogicalDPGroupTable, "both", `{"datapaths": ["250b555e-0905-4a0b-b326-37eff18b1d17", "other"]}`)
	r.change(ovnsb.LogicalFlowTable, "new", `{"match": "inport == {@pg, \"p\"} && tcp", "priority": 5, "actions": "drop;",
		"external_ids": {"stage-name": "ls_in_acl"}, "logical_dp_group": "both"}`)
	groups := func() (all []secgroup.GroupID) {
		for _, id := range []secgroup.RuleID{"new", "new.1"} {
			if rule := r.ledger().rules[id]; rule != nil {
				all = append(all, rule.Groups...)
			}
		}
		return all
	}
	there := []secgroup.GroupID{"2_pg", "port:2:p"}
	here := []secgroup.GroupID{"1_pg", "port:1:p"}
	both := []secgroup.GroupID{"1_pg", "2_pg", "port:1:p", "port:2:p"}
	for _, step := range []struct {
		table, uuid, columns string
		want                 []secgroup.GroupID
	}{
		{ovnsb.PortBindingTable, "p", `{"logical_port": "p", "datapath": "other"}`, here},
		{ovnsb.PortBindingTable, "p", `{"requested_chassis": "3247f9a7-6965-4066-89bf-cab23fbb33bd"}`, both},
		{ovnsb.LogicalDPGroupTable, "both", `{"datapaths": ["other"]}`, there},
		{ovnsb.LogicalDPGroupTable, "both", `null`, nil},
		{ovnsb.LogicalFlowTable, "new", `{"logical_datapath": "other", "logical_dp_group": null}`, there},
		{ovnsb.DatapathBindingTable, "other", `{"tunnel_key": 9}`, []secgroup.GroupID{"9_pg", "port:9:p"}},
		{ovnsb.PortBindingTable, "p", `{"requested_chassis": null}`, nil},
		{ovnsb.LogicalFlowTable, "new", `null`, nil},
	} {
		r.change(step.table, step.uuid, step.columns)
		if got := groups(); !reflect.DeepEqual(got, step.want) {
			t.Errorf("%s %s: groups %v, want %v", step.table, step.columns, got, step.want)
		}
		r.consistent()
	}
}

// TestVerdicts has the flows of OVN 23.06 and later.
func TestVerdicts(t *testing.T) {
	r := newSouthRig(t)
	r.change(ovnsb.PortGroupTable, "pg", `{"name": "1_pg", "ports": ["p"]}`)
	for _, test := range []struct {
		match, actions string
		action         secgroup.Action
		tier           uint8
	}{
		{"reg0[8] == 1 && (inport == @pg && ip4)", "reg8[16] = 1; next;", secgroup.Allow, 0},
		{"reg8[30..31] == 2 && reg0[8] == 1 && (inport == @pg && ip4)", "reg8[16] = 1; next;", secgroup.Allow, 2},
		{"reg8[30..31] == 1 && reg0[7] == 1 && (inport == @pg && ip4)", "reg8[16] = 1; reg0[1] = 1; next;", 0, 0},
		{"reg8[30..31] == 1 && reg0[10] == 1 && (inport == @pg && ip4)", "reg8[17] = 1; ct_commit { ct_mark.blocked = 1; }; next;", secgroup.Drop, 1},
		{"reg0[10] == 1 && (inport == @pg && ip4)", "log(name=\"a;b\"); reg8[18] = 1; ct_commit { ct_label.blocked = 1; }; next;", secgroup.Drop, 0},
		{"(inport == @pg && ip4)", "reg8[16] = 1; next;", secgroup.AllowStateless, 0},
		{"reg8[30..31] == 1 && (inport == @pg && ip4)", "next;", secgroup.Unknown, 1}, // pass
		{"reg0[8] == 1 && (inport == @pg && ip4)", "reg8[16] = 1; reg8[22] = 1; next;", secgroup.Unknown, 0},
		{"reg0[8] == 1 && (inport == @pg && ip4)", "reg8[16] = 1; reg3 = 5; reg8[8..15] = 1; next;", secgroup.Allow, 0},
		{"reg0[8] == 1 && (inport == @pg && ip.dscp == 1)", "reg8[16] = 1; next;", secgroup.Unknown, 0},
		{"reg0[8] == 1 && (inport == @pg && ct.est)", "reg8[16] = 1; next;", secgroup.Unknown, 0},
		{"reg0[8] == 1 && (inport == @pg && !ip4)", "reg8[16] = 1; next;", 0, 0},
		{"reg0[10] == 1 && (inport == @pg && !ip4)", "reg8[17] = 1; next;", secgroup.Unknown, 0},
		{"reg0[8] == 1 && (inport == @pg && ip4.src == $there_is_none)", "reg8[16] = 1; next;", secgroup.Unknown, 0},
	} {
		columns := `{"match": ` + string(one(test.match)) + `, "actions": ` + string(one(test.actions)) + `, "priority": 1500,
			"logical_datapath": "250b555e-0905-4a0b-b326-37eff18b1d17", "external_ids": {"stage-name": "ls_in_acl_eval", "stage-hint": "12345678"}}`
		r.change(ovnsb.LogicalFlowTable, "new", columns)
		rule := r.ledger().rules["new"]
		if rule == nil {
			rule = &secgroup.Rule{}
		}
		if rule.Action != test.action || rule.Tier != test.tier {
			t.Errorf("%s, %s: %+v", test.match, test.actions, rule)
		}
		r.consistent()
	}
}

// TestStatelessInDoubt: packets that a stateless ACL matches bypass conntrack even where a
// better ACL permits them.
func TestStatelessInDoubt(t *testing.T) {
	r := newSouthRig(t)
	r.change(ovnsb.PortGroupTable, "pg", `{"name": "1_pg", "ports": ["p"]}`)
	r.change(ovnsb.LogicalFlowTable, "new", `{"match": "inport == @pg && ip.dscp == 1", "actions": "next;", "priority": 1500,
		"logical_datapath": "250b555e-0905-4a0b-b326-37eff18b1d17", "external_ids": {"stage-name": "ls_in_acl", "stage-hint": "12345678"}}`)
	if rule := r.ledger().rules["new"]; rule.Action != secgroup.Unknown || rule.Tier != 0 || rule.Priority != topPriority {
		t.Errorf("%+v", rule)
	}
}

// TestSetsOfRules looks at rules whose address sets change in ways that concern the rules.
func TestSetsOfRules(t *testing.T) {
	r := newSouthRig(t)
	r.change(ovnsb.PortGroupTable, "pg", `{"name": "1_pg", "ports": ["p"]}`)
	for name, match := range map[string]string{"plain": "ip4.src == $a", "crossed": "ip4.src == $a && ip4.src == $b", "not": "ip4.src != $a"} {
		r.change(ovnsb.LogicalFlowTable, name, `{"match": "inport == @pg && `+match+`", "actions": "drop;", "priority": 1500,
			"logical_datapath": "250b555e-0905-4a0b-b326-37eff18b1d17", "external_ids": {"stage-name": "ls_in_acl"}}`)
	}
	r.change(ovnsb.AddressSetTable, "b", `{"name": "b", "addresses": ["10.0.0.0/24"]}`)
	for _, step := range []struct {
		columns string
		action  secgroup.Action
		crossed []netip.Prefix
		family  secgroup.Family // that "not" is of
	}{
		{`{"name": "a", "addresses": ["10.0.0.1", "10.0.1.1"]}`, secgroup.Drop, prefixes("10.0.0.1/32"), secgroup.IPv4},
		{`{"addresses": ["10.0.0.2"]}`, secgroup.Drop, prefixes("10.0.0.2/32"), secgroup.IPv4},
		{`{"addresses": []}`, secgroup.Drop, nil, secgroup.AnyFamily},
		{`{"addresses": ["10.0.0.2", "fd00::1"]}`, secgroup.Unknown, prefixes("10.0.0.2/32"), secgroup.IPv4},
		{`{"addresses": ["10.0.0.2"]}`, secgroup.Drop, prefixes("10.0.0.2/32"), secgroup.IPv4},
		{`{"addresses": ["10.0.0.2", "00:00:00:00:00:01"]}`, secgroup.Unknown, prefixes("10.0.0.2/32"), secgroup.IPv4},
	} {
		r.change(ovnsb.AddressSetTable, "a", step.columns)
		rules := r.ledger().rules
		if rules["plain"].Action != step.action || rules["not"].Action != step.action || rules["not"].Matches[0].Family != step.family {
			t.Errorf("%s: %+v, %+v", step.columns, rules["plain"], rules["not"])
		}
		if c := rules["crossed"]; (c == nil) != (step.crossed == nil) || c != nil && !slices.Equal(c.Matches[0].Remote.Prefixes, step.crossed) && !slices.Equal(c.Matches[0].Local.Prefixes, step.crossed) {
			t.Errorf("%s: two sets: %+v", step.columns, c)
		}
		r.consistent()
	}
	r.change(ovnsb.AddressSetTable, "a", `null`)
	if rule := r.ledger().rules["plain"]; rule.Action != secgroup.Unknown {
		t.Errorf("without the set: %+v", rule)
	}
	r.consistent()
}

// TestGroupLeavesSwitch: OVN refuses the whole of a flow that names a port group without
// ports on the switch. No flow changes when the last one leaves.
func TestGroupLeavesSwitch(t *testing.T) {
	r := newSouthRig(t)
	flow := func(uuid, actions string) {
		r.change(ovnsb.LogicalFlowTable, uuid, `{"match": "reg0[8] == 1 && ((inport == @gone && udp) || (inport == @pg && tcp))", "actions": "`+actions+`",
			"priority": 1500, "logical_datapath": "250b555e-0905-4a0b-b326-37eff18b1d17", "external_ids": {"stage-name": "ls_in_acl", "stage-hint": "1"}}`)
	}
	flow("allow", "next;")
	flow("drop", "drop;")
	for _, step := range []struct {
		group, columns string
		allow, drop    secgroup.Action
	}{
		{"pg", `{"name": "1_pg", "ports": ["p"]}`, 0, secgroup.Unknown},
		{"gone", `{"name": "1_gone", "ports": ["p"]}`, secgroup.Allow, secgroup.Drop},
		{"gone", `{"name": "2_gone"}`, 0, secgroup.Unknown},
		{"gone", `{"name": "1_gone"}`, secgroup.Allow, secgroup.Drop},
		{"gone", `null`, 0, secgroup.Unknown},
	} {
		r.change(ovnsb.PortGroupTable, step.group, step.columns)
		for id, want := range map[secgroup.RuleID]secgroup.Action{"allow": step.allow, "allow.1": step.allow, "drop": step.drop, "drop.1": step.drop} {
			rule := r.ledger().rules[id]
			if rule == nil {
				rule = &secgroup.Rule{}
			}
			if rule.Action != want {
				t.Errorf("%s %s: %s is %+v, want %d", step.group, step.columns, id, rule, want)
			}
		}
		r.consistent()
	}
}
