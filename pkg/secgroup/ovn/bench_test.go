package ovn

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

// cloud makes rows of 100 security groups with 100 rules each, and 1,000 ports in two of
// them, all on one switch and bound here.
func cloud(t testing.TB) *database {
	d, _ := load(t, sbTables, "")
	set := func(table, uuid string, columns map[string]any) {
		raw := map[string]json.RawMessage{}
		for name, v := range columns {
			raw[name], _ = json.Marshal(v)
		}
		d.set(t, table, uuid, raw)
	}
	flow := func(uuid, stage, match, actions string, priority int) {
		set(ovnsb.LogicalFlowTable, uuid, map[string]any{
			"match": match, "actions": actions, "priority": priority, "logical_datapath": "dp",
			"external_ids": map[string]string{"stage-name": stage, "stage-hint": uuid},
		})
	}
	set(ovnsb.ChassisTable, "us", map[string]any{"name": "us"})
	set(ovnsb.DatapathBindingTable, "dp", map[string]any{"tunnel_key": 1})
	members := map[string][]string{}
	for i := range 1000 {
		name := fmt.Sprintf("port%d", i)
		set(ovnsb.PortBindingTable, name, map[string]any{"logical_port": name, "datapath": "dp", "chassis": "us", "up": true})
		for _, g := range []int{i % 100, (i + 1) % 100} {
			members[fmt.Sprintf("pg%d", g)] = append(members[fmt.Sprintf("pg%d", g)], name)
		}
		members["neutron_pg_drop"] = append(members["neutron_pg_drop"], name)
	}
	for name, ports := range members {
		set(ovnsb.PortGroupTable, name, map[string]any{"name": "1_" + name, "ports": ports})
	}
	for g := range 100 {
		var addresses []string
		for i := range 1000 {
			addresses = append(addresses, fmt.Sprintf("10.%d.%d.%d", g, i/250, i%250+1))
		}
		set(ovnsb.AddressSetTable, fmt.Sprint("as", g), map[string]any{"name": fmt.Sprintf("pg%d_ip4", g), "addresses": addresses})
		for i := range 100 {
			match := fmt.Sprintf("(outport == @pg%d && ip4 && ip4.src == $pg%d_ip4 && tcp && tcp.dst == %d)", g, i, 1000+i)
			flow(fmt.Sprintf("new%d-%d", g, i), "ls_out_acl", "reg0[7] == 1 && "+match, "reg0[1] = 1; next;", 2002)
			flow(fmt.Sprintf("est%d-%d", g, i), "ls_out_acl", "reg0[8] == 1 && "+match, "next;", 2002)
		}
	}
	for _, dir := range []string{"in", "out"} {
		flow("base-"+dir, "ls_"+dir+"_acl", "1", "next;", 0)
		flow("drop-"+dir, "ls_"+dir+"_acl", "reg0[10] == 1 && ("+dir+"port == @neutron_pg_drop && ip)", "/* drop */", 2001)
	}
	return d
}

func BenchmarkSnapshot(b *testing.B) {
	all := cloud(b).all()
	for b.Loop() {
		s := newSouthbound(Config{Chassis: "us"})
		s.snapshot(all)
		if len(s.ledger.rules) != 10002 {
			b.Fatal(len(s.ledger.rules))
		}
	}
}

// BenchmarkOneChange changes one row there and back.
func BenchmarkOneChange(b *testing.B) {
	for _, bench := range []struct{ name, table, uuid, column string }{
		{"rule", ovnsb.LogicalFlowTable, "est3-4", ""},
		{"group", ovnsb.PortGroupTable, "pg3", "ports"},
		{"drop-group", ovnsb.PortGroupTable, "neutron_pg_drop", "ports"},
		{"set", ovnsb.AddressSetTable, "as3", "addresses"},
		{"port", ovnsb.PortBindingTable, "port5", "chassis"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			d := cloud(b)
			s := newSouthbound(Config{Chassis: "us"})
			s.snapshot(d.all())
			row := d.rows[bench.table][bench.uuid]
			var columns map[string]json.RawMessage
			switch bench.column {
			case "chassis":
				columns = map[string]json.RawMessage{"chassis": json.RawMessage("null")}
			case "ports":
				columns = map[string]json.RawMessage{"ports": one(row.(*ovnsb.PortGroup).Ports[1:])}
			case "addresses":
				columns = map[string]json.RawMessage{"addresses": one(row.(*ovnsb.AddressSet).Addresses[1:])}
			}
			there := d.set(b, bench.table, bench.uuid, columns)
			back := client.Change{Table: there.Table, UUID: there.UUID, Old: there.New, New: there.Old}
			for b.Loop() {
				if s.apply(client.Batch{there}).Update == nil || s.apply(client.Batch{back}).Update == nil {
					b.Fatal("nothing is told")
				}
			}
		})
	}
}

func one(v any) json.RawMessage {
	raw, _ := json.Marshal(v)
	return raw
}
