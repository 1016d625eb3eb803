package ovn

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// The rows in testdata are OVN 23.03's for rows in the Northbound database as Neutron writes
// them: three security groups on one switch, four ports, of which the last is on another host.
const (
	web1 flows.LogicalPort = "4f0a7d3e-11f3-4a5b-8d5f-6a7a1e0b9c01"
	db1  flows.LogicalPort = "4f0a7d3e-11f3-4a5b-8d5f-6a7a1e0b9c02"
	sl1  flows.LogicalPort = "4f0a7d3e-11f3-4a5b-8d5f-6a7a1e0b9c03"
	web2 flows.LogicalPort = "4f0a7d3e-11f3-4a5b-8d5f-6a7a1e0b9c04"

	webGroup = "1_pg_c0ffee00_1111_4222_8333_444455556601"
	webSet   = "pg_c0ffee00_1111_4222_8333_444455556601_ip4"
)

func TestSnapshot(t *testing.T) {
	_, rows := load(t, sbTables, "southbound.jsonl")
	news := newSouthbound(Config{Chassis: "compute-1"}).snapshot(rows)
	if !news.Update.Reset || news.Revision != 38 || news.Label {
		t.Errorf("reset %v, revision %d, label %v", news.Update.Reset, news.Revision, news.Label)
	}
	want := &secgroup.Port{Addresses: prefixes("10.0.0.11/32"), Groups: []secgroup.GroupID{"1_neutron_pg_drop", webGroup, "switch:1", "port:1:" + secgroup.GroupID(web1)},
		Owner: secgroup.Owner{Tenant: ids(project), Groups: ids("c0ffee00-1111-4222-8333-444455556601")}}
	if p := news.Update.Ports[web1]; !reflect.DeepEqual(p, want) {
		t.Errorf("port %+v, want %+v", p, want)
	}
	if p := news.Update.Ports[web2]; p.Reason != flows.PortUnbound || p.Detail != `it is bound on "compute-2"` {
		t.Errorf("port %+v", p)
	}
	udp := &secgroup.Rule{
		Name:   "ACL 10752047: outport == @pg_c0ffee00_1111_4222_8333_444455556601 && ip4 && udp",
		Groups: []secgroup.GroupID{webGroup}, Direction: flows.Ingress, Priority: 2002, Action: secgroup.Allow,
		Matches: []secgroup.Match{{Family: secgroup.IPv4, Proto: flows.UDP, HasProto: true}},
	}
	if r := news.Update.Rules["5cfa9e61-9ff7-4a15-81dc-b770c7d55f29"]; !reflect.DeepEqual(r, udp) {
		t.Errorf("rule %+v, want %+v", r, udp)
	}
	actions := map[secgroup.Action]int{}
	for _, r := range news.Update.Rules {
		actions[r.Action]++
	}
	// 14 stateful ACLs, 3 stateless and OVN's own of neighbour discovery, 2 that drop.
	if want := map[secgroup.Action]int{secgroup.Allow: 14, secgroup.AllowStateless: 5, secgroup.Drop: 2}; !maps.Equal(actions, want) {
		t.Errorf("actions %v, want %v", actions, want)
	}
}

// TestStream replays how policy changed, as an ovsdb-server told it, and looks at each update.
// TestMigration has the last step.
func TestStream(t *testing.T) {
	steps := readSteps(t, "southbound-stream.jsonl")
	update := emptyUpdate
	for step, want := range []func() secgroup.Update{
		1: func() secgroup.Update { u := update(); u.Rules["e182b044"] = nil; return u },
		2: func() secgroup.Update {
			u := update()
			u.Rules["5cfa9e61-9ff7-4a15-81dc-b770c7d55f29"] = &secgroup.Rule{}
			return u
		},
		3: func() secgroup.Update {
			u := update()
			// The stream has no external_ids, which are changed in the same transaction.
			u.Ports[web1] = &secgroup.Port{Reason: flows.SGUnknown}
			u.Sets[webSet] = secgroup.SetChange{Remove: prefixes("10.0.0.11/32")}
			return u
		},
		4: func() secgroup.Update {
			u := update()
			u.Ports[web1] = &secgroup.Port{}
			u.Sets[webSet] = secgroup.SetChange{Add: prefixes("10.0.0.11/32")}
			return u
		},
		5: func() secgroup.Update {
			u := update()
			u.Ports[web1] = &secgroup.Port{}
			u.Sets[webSet] = secgroup.SetChange{Add: prefixes("10.0.0.21/32")}
			u.Sets["neutron_pg_drop_ip4"] = secgroup.SetChange{Add: prefixes("10.0.0.21/32")}
			return u
		},
		6: func() secgroup.Update {
			u := update()
			u.Sets["ag_adadadad_1111_4222_8333_444455556604_ip4"] = secgroup.SetChange{Remove: prefixes("198.51.100.0/24")}
			return u
		},
		7: func() secgroup.Update {
			u := update()
			u.Ports[web1] = &secgroup.Port{Reason: flows.PortUnbound}
			return u
		},
		8: func() secgroup.Update { u := update(); u.Ports[web1] = &secgroup.Port{}; return u },
	} {
		if want == nil {
			continue
		}
		t.Run(steps[step][0].Name, func(t *testing.T) {
			r := newSouthRig(t)
			r.apply(r.before(steps[step]))
			news := r.replay(steps[step])
			if news.Update == nil {
				t.Fatal("nothing is told")
			}
			expect(t, news.Update, want())
			r.consistent()
		})
	}
}

// expect compares what was told: sets wholly, of ports and rules which, and whether they
// are there, and of ports the reason.
func expect(t *testing.T, got *secgroup.Update, want secgroup.Update) {
	t.Helper()
	if !reflect.DeepEqual(got.Sets, want.Sets) {
		t.Errorf("sets %+v, want %+v", got.Sets, want.Sets)
	}
	for id := range got.Rules {
		if w, ok := want.Rules[id]; !ok || (w == nil) != (got.Rules[id] == nil) {
			t.Errorf("rule %s: %+v", id, got.Rules[id])
		}
	}
	for id := range got.Ports {
		if w, ok := want.Ports[id]; !ok || w.Reason != got.Ports[id].Reason {
			t.Errorf("port %s: %+v", id, got.Ports[id])
		}
	}
	if len(got.Rules) != len(want.Rules) || len(got.Ports) != len(want.Ports) {
		t.Errorf("%d rules, %d ports", len(got.Rules), len(got.Ports))
	}
}

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// TestMigration looks at what a live migration, and other ways to move, do to a port.
func TestMigration(t *testing.T) {
	r := newSouthRig(t)
	for _, step := range []struct {
		columns string
		reason  flows.Reason
		detail  string
	}{
		{`{"requested_additional_chassis": ["d96fa77c-daf6-48a4-82f1-13cef456ca1a"]}`, flows.PortMigrating, `it is to move to "compute-2"`},
		{`{"requested_additional_chassis": []}`, "", ""},
		{`{"options": {"requested-chassis": "compute-1,compute-2"}}`, flows.PortMigrating, `it is to move: requested-chassis is "compute-1,compute-2"`},
		{`{"options": {}, "additional_chassis": ["d96fa77c-daf6-48a4-82f1-13cef456ca1a"]}`, flows.PortMigrating, `it is to move to "compute-2"`},
		{`{"additional_chassis": [], "requested_chassis": "d96fa77c-daf6-48a4-82f1-13cef456ca1a"}`, flows.PortMigrating, `it is to be bound on "compute-2"`},
		{`{"chassis": "d96fa77c-daf6-48a4-82f1-13cef456ca1a"}`, flows.PortUnbound, `it is bound on "compute-2"`},
		{`{"additional_chassis": ["3247f9a7-6965-4066-89bf-cab23fbb33bd"]}`, flows.PortMigrating, "it is to move here"},
		{`{"additional_chassis": [], "requested_chassis": null, "chassis": null}`, flows.PortUnbound, "no chassis has bound it"},
		{`{"chassis": "3247f9a7-6965-4066-89bf-cab23fbb33bd", "up": false}`, flows.PortUnbound, "ovn-controller has not reported it up"},
		{`{"up": true}`, "", ""},
		{`{"type": "router"}`, flows.SGUnknown, `it is no instance's port: its type in OVN is "router"`},
	} {
		r.change(ovnsb.PortBindingTable, string(web1), step.columns)
		if p := r.port(web1); p.Reason != step.reason || p.Detail != step.detail {
			t.Errorf("%s: %q, %q; want %q, %q", step.columns, p.Reason, p.Detail, step.reason, step.detail)
		}
		r.consistent()
	}
}

// TestAnomalies looks at what Neutron would not write, or not for long.
func TestAnomalies(t *testing.T) {
	drop, web := "2caf2257", "a56fb398"
	for name, test := range map[string]struct {
		table, uuid, columns string
		reason               flows.Reason
		detail               string
	}{
		"not in the drop group":    {ovnsb.PortGroupTable, drop, `{"ports": ["` + string(db1) + `"]}`, flows.SGUnknown, "it has port security and is not in port group neutron_pg_drop"},
		"the drop group is gone":   {ovnsb.PortGroupTable, drop, `null`, flows.SGUnknown, "it has port security and is not in port group neutron_pg_drop"},
		"the drop group drops not": {ovnsb.LogicalFlowTable, "ff1fe596", `null`, flows.SGUnknown, "port group neutron_pg_drop has no ACLs that drop everything"},
		"the drop group drops some": {
			ovnsb.LogicalFlowTable, "ff1fe596", `{"match": "reg0[10] == 1 && (inport == @neutron_pg_drop && ip4)"}`,
			flows.SGUnknown, "port group neutron_pg_drop has no ACLs that drop everything",
		},
		"a port group is gone": {
			ovnsb.PortGroupTable, web, `null`,
			flows.SGUnknown, "it has security group c0ffee00-1111-4222-8333-444455556601 and is not in port group pg_c0ffee00_1111_4222_8333_444455556601",
		},
		"another security group": {
			ovnsb.PortBindingTable, string(web1), `{"external_ids": {"neutron:security_group_ids": "a-b"}}`,
			flows.SGUnknown, "it has security group a-b and is not in port group pg_a_b",
		},
		"the stage is gone":    {ovnsb.LogicalFlowTable, "3ed8644c", `null`, flows.SGUnknown, "the flows for ACLs of its logical switch are not in the database"},
		"the switch is gone":   {ovnsb.DatapathBindingTable, "250b555e", `null`, flows.SGUnknown, "its logical switch is not in the database"},
		"this host is unknown": {ovnsb.ChassisTable, "3247f9a7", `null`, flows.PortUnbound, `this host's system-id "compute-1" is no chassis of the Southbound database`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newSouthRig(t)
			uuid := r.uuid(test.table, test.uuid)
			was := r.rows[test.table][uuid]
			r.change(test.table, uuid, test.columns)
			if p := r.port(web1); p.Reason != test.reason || p.Detail != test.detail {
				t.Errorf("%q, %q", p.Reason, p.Detail)
			}
			r.consistent()
			r.put(test.table, uuid, was)
			if p := r.port(web1); p.Reason != "" {
				t.Errorf("afterwards: %q, %q", p.Reason, p.Detail)
			}
			r.consistent()
		})
	}
}

func TestPortGone(t *testing.T) {
	r := newSouthRig(t)
	news := r.change(ovnsb.PortBindingTable, string(web1), `null`)
	if p, told := news.Update.Ports[web1]; !told || p != nil || len(news.Update.Ports) != 1 {
		t.Errorf("%+v", news.Update)
	}
	r.consistent()
}

// TestPortSecurityOff is what Neutron writes when port security is switched off.
func TestPortSecurityOff(t *testing.T) {
	r := newSouthRig(t)
	r.change(ovnsb.PortGroupTable, "2caf2257", `{"ports": ["`+string(db1)+`"]}`)
	r.change(ovnsb.PortGroupTable, "a56fb398", `{"ports": []}`)
	r.change(ovnsb.PortBindingTable, string(web1), `{"port_security": [], "external_ids": {"neutron:security_group_ids": ""}}`)
	if p := r.port(web1); !p.Open || p.Reason != "" {
		t.Errorf("%+v", p)
	}
	r.consistent()
	// An ACL of the whole switch, or of the port, is none of its security groups and counts.
	for _, match := range []string{"ip4", `inport == \"` + string(web1) + `\"`} {
		flow := `{"match": "reg0[10] == 1 && (` + match + `)", "priority": 1500, "actions": "drop;",
			"external_ids": {"stage-name": "ls_in_acl", "stage-hint": "1"}, "logical_datapath": "250b555e-0905-4a0b-b326-37eff18b1d17"}`
		r.change(ovnsb.LogicalFlowTable, "new", flow)
		if p := r.port(web1); p.Open || !p.Permissive {
			t.Errorf("with an ACL: %+v", p)
		}
		r.consistent()
		r.change(ovnsb.LogicalFlowTable, "new", `null`)
		if p := r.port(web1); !p.Open {
			t.Errorf("without the ACL: %+v", p)
		}
		r.consistent()
	}
}

// TestRevision looks at which number of SB_Global a change belongs to.
func TestRevision(t *testing.T) {
	r := newSouthRig(t)
	global := r.uuid(ovnsb.SBGlobalTable, "606df25d")
	set := func(ports string) client.Change {
		return r.set(t, ovnsb.PortGroupTable, r.uuid(ovnsb.PortGroupTable, "a56fb398"), map[string]json.RawMessage{"ports": json.RawMessage(ports)})
	}
	count := func(n int) client.Change {
		return r.set(t, ovnsb.SBGlobalTable, global, map[string]json.RawMessage{"nb_cfg": json.RawMessage(fmt.Sprint(n))})
	}
	for i, test := range []struct {
		batch client.Batch
		want  uint64
	}{
		{client.Batch{set(`[]`), count(38)}, 38},                                  // one transaction
		{client.Batch{set(`["` + string(web1) + `"]`)}, 39},                       // the number comes later
		{client.Batch{count(39), set(`[]`)}, 40},                                  // two transactions
		{client.Batch{set(`["` + string(web1) + `"]`), count(40), count(41)}, 41}, // three
		{client.Batch{count(42)}, 42},                                             // nothing but a number
	} {
		if news := r.apply(test.batch); news.Revision != test.want {
			t.Errorf("%d: revision %d, want %d", i, news.Revision, test.want)
		}
	}
}

// TestLabel: while one host cannot mask marks, northd has all use labels.
func TestLabel(t *testing.T) {
	r := newSouthRig(t)
	row := r.rows[ovnsb.LogicalFlowTable][r.uuid(ovnsb.LogicalFlowTable, "af348e38")].(*ovnsb.LogicalFlow)
	match, _ := json.Marshal(strings.ReplaceAll(row.Match, "ct_mark", "ct_label"))
	if news := r.change(ovnsb.LogicalFlowTable, "af348e38", `{"match": `+string(match)+`}`); !news.Label || news.Update != nil {
		t.Errorf("label %v, %+v", news.Label, news.Update)
	}
	r.consistent()
}

// TestDisabled has the flow by which northd drops what a port that is switched off sends.
func TestDisabled(t *testing.T) {
	r := newSouthRig(t)
	flow := `{"match": "inport == \"` + string(web1) + `\"", "actions": "reg0[15] = 1; next;", "priority": 100,
		"external_ids": {"stage-name": "ls_in_check_port_sec", "stage-hint": "1"}, "logical_datapath": "250b555e-0905-4a0b-b326-37eff18b1d17"}`
	for _, step := range []struct {
		columns string
		reason  flows.Reason
	}{
		{flow, flows.PortUnbound},
		{`{"match": "inport == \"` + string(db1) + `\""}`, ""},
		{flow, flows.PortUnbound},
		{`{"actions": "set_queue(1); reg0[15] = check_in_port_sec(); next;"}`, ""},
		{flow, flows.PortUnbound},
		{`null`, ""},
	} {
		r.change(ovnsb.LogicalFlowTable, "new", step.columns)
		if p := r.port(web1); p.Reason != step.reason || p.Detail == "" && step.reason != "" {
			t.Errorf("%s: %+v", step.columns, p)
		}
		r.consistent()
	}
}
