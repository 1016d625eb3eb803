package ovn

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnnb"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

// TestReplaced has rows that others of the same name replace in one transaction, of which
// the uuids decide what is told first.
func TestReplaced(t *testing.T) {
	for _, table := range []struct{ name, uuid string }{
		{ovnsb.PortGroupTable, "2caf2257"}, {ovnsb.AddressSetTable, ""}, {ovnsb.PortBindingTable, string(web1)}, {ovnsb.ChassisTable, "3247f9a7"},
	} {
		for _, newFirst := range []bool{false, true} {
			r := newSouthRig(t)
			old := r.uuid(table.name, table.uuid)
			row := r.rows[table.name][old]
			delete(r.rows[table.name], old)
			r.rows[table.name]["new"] = row
			batch := client.Batch{{Table: table.name, UUID: old, Old: row}, {Table: table.name, UUID: "new", New: row}}
			if newFirst {
				slices.Reverse(batch)
			}
			r.apply(batch)
			if p := r.port(web1); p == nil || table.name != ovnsb.ChassisTable && p.Reason != "" {
				t.Errorf("%s, the new row first %v: %+v", table.name, newFirst, p)
			}
			r.consistent()
		}
	}
}

// TestNamesExchanged: two rows take each other's name.
func TestNamesExchanged(t *testing.T) {
	for _, table := range []string{ovnsb.PortGroupTable, ovnsb.AddressSetTable} {
		r := newSouthRig(t)
		var uuids, names []string
		for uuid, row := range r.rows[table] {
			switch row := row.(type) {
			case *ovnsb.PortGroup:
				names = append(names, row.Name)
			case *ovnsb.AddressSet:
				names = append(names, row.Name)
			}
			uuids = append(uuids, uuid)
		}
		var batch client.Batch
		for i := range 2 {
			batch = append(batch, r.set(t, table, uuids[i], map[string]json.RawMessage{"name": one(names[1-i])}))
		}
		r.apply(batch)
		r.consistent()
	}
}

// TestGroupReplaced is pg-del and pg-add in one transaction, with the ACL anew.
func TestGroupReplaced(t *testing.T) {
	for range 20 { // what is flushed first is left to chance
		r := newNorthRig(t)
		var old string
		for uuid, row := range r.rows[ovnnb.PortGroupTable] {
			if row.(*ovnnb.PortGroup).Name == neutronDropGroup {
				old = uuid
			}
		}
		row := r.rows[ovnnb.PortGroupTable][old].(*ovnnb.PortGroup)
		delete(r.rows[ovnnb.PortGroupTable], old)
		r.rows[ovnnb.PortGroupTable]["new"] = row
		r.apply(client.Batch{{Table: ovnnb.PortGroupTable, UUID: "new", New: row}, {Table: ovnnb.PortGroupTable, UUID: old, Old: row}})
		r.consistent()
		if p := r.port(web1); t.Failed() || p.Reason != "" || p.Permissive {
			t.Fatalf("%+v", p)
		}
	}
}
