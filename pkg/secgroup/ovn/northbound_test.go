package ovn

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/ovnnb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// TestNorthbound compares what the rows that a network service wrote come to with what the
// rows come to that northd made of them.
func TestNorthbound(t *testing.T) {
	north, south := newNorthRig(t), newSouthRig(t)
	// Neighbour discovery is northd's own.
	if a, b := decisions(north, ""), decisions(south, "OVN's own"); !slices.Equal(a, b) {
		t.Errorf("%d rules:\n%s\nSouthbound %d:\n%s", len(a), strings.Join(a, "\n"), len(b), strings.Join(b, "\n"))
	}
	for _, name := range []flows.LogicalPort{web1, db1, sl1} {
		if a, b := north.port(name), south.port(name); !reflect.DeepEqual(a, b) {
			t.Errorf("port %s: %+v, Southbound %+v", name, a, b)
		}
	}
	if p := north.port(web2); p.Reason != "" {
		t.Errorf("a port of another host: %+v", p) // where it is bound is not said
	}
	for id, set := range south.ledger().sets {
		if id == monitorMAC {
			continue
		}
		if s := north.ledger().sets[id]; !slices.Equal(s.all(), set.all()) || s.kind() != set.kind() {
			t.Errorf("set %s: %+v, Southbound %+v", id, s, set)
		}
	}
	udp := north.ledger().rules["10752047-afd3-465a-b23e-fcebff675488"]
	if want := "security group rule beefbeef-0000-4000-8000-000000000100 of pg_c0ffee00_1111_4222_8333_444455556601: "; !strings.HasPrefix(udp.Name, want) {
		t.Errorf("the rule is called %s", udp.Name)
	}
	north.consistent()
}

// decisions are all rules less their names, sorted.
func decisions(r *rig, without string) []string {
	var all []string
	for _, rule := range r.ledger().rules {
		if without == "" || !strings.HasPrefix(rule.Name, without) {
			plain := *rule
			plain.Name = ""
			all = append(all, fmt.Sprintf("%+v", plain))
		}
	}
	slices.Sort(all)
	return all
}

// TestNorthboundStream replays how policy changed.
func TestNorthboundStream(t *testing.T) {
	steps := readSteps(t, "northbound-stream.jsonl")
	for step, want := range []secgroup.Update{
		1: {Rules: map[secgroup.RuleID]*secgroup.Rule{"136c5129-f880-4533-abda-9c15d92dce8f": nil}},
		2: {Rules: map[secgroup.RuleID]*secgroup.Rule{"10752047-afd3-465a-b23e-fcebff675488": {}}},
		3: {
			Ports: map[flows.LogicalPort]*secgroup.Port{web1: {Reason: flows.SGUnknown}}, // see TestStream
			Sets:  map[secgroup.SetID]secgroup.SetChange{webSet: {Remove: prefixes("10.0.0.11/32")}},
		},
		4: {
			Ports: map[flows.LogicalPort]*secgroup.Port{web1: {}},
			Sets:  map[secgroup.SetID]secgroup.SetChange{webSet: {Add: prefixes("10.0.0.11/32")}},
		},
		5: {Ports: map[flows.LogicalPort]*secgroup.Port{web1: {}}, Sets: map[secgroup.SetID]secgroup.SetChange{
			webSet: {Add: prefixes("10.0.0.21/32")}, "neutron_pg_drop_ip4": {Add: prefixes("10.0.0.21/32")},
		}},
		6: {Sets: map[secgroup.SetID]secgroup.SetChange{
			"ag_adadadad_1111_4222_8333_444455556604_ip4": {Remove: prefixes("198.51.100.0/24")},
		}},
	} {
		if step == 0 {
			continue
		}
		t.Run(steps[step][0].Name, func(t *testing.T) {
			r := newNorthRig(t)
			r.apply(r.before(steps[step]))
			news := r.replay(steps[step])
			if news.Update == nil {
				t.Fatal("nothing is told")
			}
			if want.Sets == nil {
				want.Sets = map[secgroup.SetID]secgroup.SetChange{}
			}
			expect(t, news.Update, want)
			r.consistent()
		})
	}
}

// TestNorthboundRows goes through what Neutron does not write.
func TestNorthboundRows(t *testing.T) {
	r := newNorthRig(t)
	udp := "10752047-afd3-465a-b23e-fcebff675488"
	rule := func() *secgroup.Rule { return r.ledger().rules[secgroup.RuleID(udp)] }
	for _, step := range []struct {
		table, uuid, columns string
		good                 func() bool
	}{
		{ovnnb.ACLTable, udp, `{"tier": 2}`, func() bool { return rule().Tier == 2 }},
		{ovnnb.ACLTable, udp, `{"tier": 0, "action": "reject"}`, func() bool { return rule().Action == secgroup.Drop && rule().Tier == 0 }},
		{ovnnb.ACLTable, udp, `{"action": "allow"}`, func() bool { return rule().Action == secgroup.Allow }},
		{ovnnb.ACLTable, udp, `{"action": "pass"}`, func() bool { return rule().Action == secgroup.Unknown }},
		{ovnnb.ACLTable, udp, `{"action": "shrug"}`, func() bool { return rule().Action == secgroup.Unknown }},
		{ovnnb.ACLTable, udp, `{"action": "allow-stateless"}`, func() bool { return rule().Action == secgroup.AllowStateless }},
		{ovnnb.ACLTable, udp, `{"action": "drop", "match": "what && this"}`, func() bool { return rule().Action == secgroup.Unknown }},
		{ovnnb.ACLTable, udp, `{"action": "drop", "match": "ip4) || (ip6"}`, func() bool { return rule().Action == secgroup.Unknown }},
		{ovnnb.ACLTable, udp, `{"action": "allow-related", "match": "ip4) || (ip6"}`, func() bool { return rule() == nil }},
		{ovnnb.ACLTable, udp, `{"match": "ip4", "options": {"apply-after-lb": "true"}, "direction": "from-lport"}`, func() bool { return rule() == nil }},
		{ovnnb.ACLTable, udp, `{"action": "drop"}`, func() bool { return rule().Action == secgroup.Unknown && rule().Direction == flows.Egress }},
		{ovnnb.ACLTable, udp, `null`, func() bool { return rule() == nil }},
		{ovnnb.NBGlobalTable, "33add9cc", `{"options": {"default_acl_drop": "true"}}`, func() bool {
			return len(decisions(r, "ACL")) > 0 && strings.Contains(strings.Join(decisions(r, ""), " "), "Tier:255")
		}},
		{ovnnb.LogicalSwitchPortTable, string(web1), `{"options": {"requested-chassis": "a,b"}}`, func() bool { return r.port(web1).Reason == flows.PortMigrating }},
		{ovnnb.LogicalSwitchPortTable, string(web1), `{"enabled": false}`, func() bool { return r.port(web1).Detail == "it is disabled" }},
		{ovnnb.LogicalSwitchPortTable, string(web1), `null`, func() bool { return r.port(web1) == nil }},
		{ovnnb.PortGroupTable, r.named("neutron_pg_drop"), `{"acls": []}`, func() bool { return r.port(db1).Reason == flows.SGUnknown }},
		{ovnnb.PortGroupTable, r.named("neutron_pg_drop"), `null`, func() bool { return r.port(db1).Reason == flows.SGUnknown }},
		{ovnnb.LogicalSwitchTable, r.named("neutron-"), `null`, func() bool { return r.port(db1) == nil && len(r.ledger().rules) == 0 }},
	} {
		r.change(step.table, step.uuid, step.columns)
		if !step.good() {
			t.Errorf("%s %s: %+v; %+v", step.table, step.columns, rule(), r.port(web1))
		}
		r.consistent()
	}
}

// named returns the uuid of a port group, or else of the only switch.
func (r *rig) named(name string) string {
	for uuid, row := range r.rows[ovnnb.PortGroupTable] {
		if row.(*ovnnb.PortGroup).Name == name {
			return uuid
		}
	}
	for uuid := range r.rows[ovnnb.LogicalSwitchTable] {
		return uuid
	}
	return ""
}

// TestStateless: a switch without stateful ACLs does not ask conntrack.
func TestStateless(t *testing.T) {
	r := newRig(t, nbTables, "", func() translator { return newNorthbound(Config{}) })
	r.change(ovnnb.LogicalSwitchPortTable, "p", `{"name": "p"}`)
	r.change(ovnnb.LogicalSwitchTable, "s", `{"ports": ["p"]}`)
	if p := r.port("p"); !p.Open || p.Reason != "" {
		t.Errorf("without ACLs: %+v", p)
	}
	r.consistent()
	action := func(id secgroup.RuleID) secgroup.Action {
		if rule := r.ledger().rules[id]; rule != nil {
			return rule.Action
		}
		return 0
	}
	r.change(ovnnb.ACLTable, "a", `{"direction": "to-lport", "action": "allow", "priority": 5, "match": "tcp"}`)
	r.change(ovnnb.LogicalSwitchTable, "s", `{"acls": ["a"]}`)
	if action("a/bare") != secgroup.AllowStateless || action("a") != 0 || action("stateless:s:ingress") != secgroup.AllowStateless {
		t.Errorf("without a stateful one: %+v", r.ledger().rules)
	}
	r.consistent()
	r.change(ovnnb.ACLTable, "b", `{"direction": "to-lport", "action": "allow-related", "priority": 6, "match": "udp"}`)
	r.change(ovnnb.LogicalSwitchTable, "s", `{"acls": ["a", "b"]}`)
	if action("a/bare") != 0 || action("a") != secgroup.Allow || action("stateless:s:ingress") != 0 {
		t.Errorf("with a stateful one: %+v", r.ledger().rules)
	}
	r.consistent()
	// And the same for the ACLs of a group, by the ports in it.
	r.change(ovnnb.LogicalSwitchTable, "s", `{"acls": ["a"]}`)
	r.change(ovnnb.PortGroupTable, "g", `{"name": "g", "acls": ["b"]}`)
	if action("a") != 0 || action("b") != 0 {
		t.Errorf("with an empty group: %+v", r.ledger().rules)
	}
	r.consistent()
	r.change(ovnnb.PortGroupTable, "g", `{"ports": ["p"]}`)
	if action("a") != secgroup.Allow || action("b") != secgroup.Allow {
		t.Errorf("with a group: %+v", r.ledger().rules)
	}
	r.consistent()
	r.change(ovnnb.PortGroupTable, "g", `null`)
	if action("a/bare") != secgroup.AllowStateless || action("b") != 0 {
		t.Errorf("after the group: %+v", r.ledger().rules)
	}
	r.consistent()
}
