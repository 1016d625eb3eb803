package ovn

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnnb"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

// tableRow is a table and the type of its rows.
type tableRow struct {
	name string
	row  any
}

// sbTables and nbTables are the tables of the databases in their order in a transaction.
var (
	sbTables = []tableRow{
		{ovnsb.ChassisTable, ovnsb.Chassis{}},
		{ovnsb.DatapathBindingTable, ovnsb.DatapathBinding{}},
		{ovnsb.LogicalDPGroupTable, ovnsb.LogicalDPGroup{}},
		{ovnsb.PortBindingTable, ovnsb.PortBinding{}},
		{ovnsb.PortGroupTable, ovnsb.PortGroup{}},
		{ovnsb.AddressSetTable, ovnsb.AddressSet{}},
		{ovnsb.LogicalFlowTable, ovnsb.LogicalFlow{}},
		{ovnsb.SBGlobalTable, ovnsb.SBGlobal{}},
	}
	nbTables = []tableRow{
		{ovnnb.LogicalSwitchTable, ovnnb.LogicalSwitch{}},
		{ovnnb.LogicalSwitchPortTable, ovnnb.LogicalSwitchPort{}},
		{ovnnb.PortGroupTable, ovnnb.PortGroup{}},
		{ovnnb.ACLTable, nbACL{}},
		{ovnnb.AddressSetTable, ovnnb.AddressSet{}},
		{ovnnb.NBGlobalTable, ovnnb.NBGlobal{}},
	}
)

// line is one line of a file in testdata: a row, or the columns of it that changed.
type line struct {
	Step  int
	Name  string
	Table string
	UUID  string
	Row   map[string]json.RawMessage // nil: it was removed
	Old   map[string]json.RawMessage // the columns that changed, as they were
}

func readLines(t testing.TB, name string) []line {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var lines []line
	for in := bufio.NewScanner(f); in.Scan(); {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// database is rows by table and uuid, as a server has them.
type database struct {
	tables []tableRow
	rows   map[string]map[string]any
}

// load reads a file of rows, if one is named, into a database, and returns them all.
func load(t testing.TB, tables []tableRow, name string) (*database, client.Batch) {
	t.Helper()
	d := &database{tables, map[string]map[string]any{}}
	for _, table := range tables {
		d.rows[table.name] = map[string]any{}
	}
	if name != "" {
		for _, l := range readLines(t, name) {
			d.set(t, l.Table, l.UUID, l.Row)
		}
	}
	return d, d.all()
}

// all returns all rows as a first connection tells them.
func (d *database) all() client.Batch {
	var all client.Batch
	for _, table := range d.tables {
		for uuid, row := range d.rows[table.name] {
			all = append(all, client.Change{Table: table.name, UUID: uuid, New: row})
		}
	}
	return all
}

// set puts columns into a row, which is made if need be, and returns the change; with nil
// columns it removes the row.
func (d *database) set(t testing.TB, table, uuid string, columns map[string]json.RawMessage) client.Change {
	t.Helper()
	old := d.rows[table][uuid]
	if columns == nil {
		delete(d.rows[table], uuid)
		return client.Change{Table: table, UUID: uuid, Old: old}
	}
	i := slices.IndexFunc(d.tables, func(r tableRow) bool { return r.name == table })
	row := reflect.New(reflect.TypeOf(d.tables[i].row))
	if old != nil {
		row.Elem().Set(reflect.ValueOf(old).Elem())
	}
	fill(t, row.Elem(), columns)
	now := row.Interface()
	d.rows[table][uuid] = now
	return client.Change{Table: table, UUID: uuid, Old: old, New: now}
}

// fill sets the fields of a row that columns name.
func fill(t testing.TB, row reflect.Value, columns map[string]json.RawMessage) {
	t.Helper()
	for i := range row.NumField() {
		f := row.Type().Field(i)
		if f.Anonymous {
			fill(t, row.Field(i), columns)
		}
		if raw, ok := columns[f.Tag.Get("ovsdb")]; ok {
			fresh := reflect.New(f.Type)
			if err := json.Unmarshal(raw, fresh.Interface()); err != nil {
				t.Fatal(f.Name, err)
			}
			row.Field(i).Set(fresh.Elem())
		}
	}
}
