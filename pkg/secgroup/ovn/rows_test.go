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
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

// sbTables are the row types, and their order in a transaction.
var sbTables = []struct {
	name string
	row  any
}{
	{ovnsb.ChassisTable, ovnsb.Chassis{}},
	{ovnsb.DatapathBindingTable, ovnsb.DatapathBinding{}},
	{ovnsb.LogicalDPGroupTable, ovnsb.LogicalDPGroup{}},
	{ovnsb.PortBindingTable, ovnsb.PortBinding{}},
	{ovnsb.PortGroupTable, ovnsb.PortGroup{}},
	{ovnsb.AddressSetTable, ovnsb.AddressSet{}},
	{ovnsb.LogicalFlowTable, ovnsb.LogicalFlow{}},
	{ovnsb.SBGlobalTable, ovnsb.SBGlobal{}},
}

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
type database map[string]map[string]any

// set puts columns into a row, which is made if need be, and returns the change; with nil
// columns it removes the row.
func (d database) set(t testing.TB, table, uuid string, columns map[string]json.RawMessage) client.Change {
	t.Helper()
	old := d[table][uuid]
	if columns == nil {
		delete(d[table], uuid)
		return client.Change{Table: table, UUID: uuid, Old: old}
	}
	i := slices.IndexFunc(sbTables, func(s struct {
		name string
		row  any
	}) bool {
		return s.name == table
	})
	row := reflect.New(reflect.TypeOf(sbTables[i].row))
	if old != nil {
		row.Elem().Set(reflect.ValueOf(old).Elem())
	}
	for i := range row.Elem().NumField() {
		name := row.Elem().Type().Field(i).Tag.Get("ovsdb")
		if raw, ok := columns[name]; ok {
			fresh := reflect.New(row.Elem().Field(i).Type())
			if err := json.Unmarshal(raw, fresh.Interface()); err != nil {
				t.Fatal(table, name, err)
			}
			row.Elem().Field(i).Set(fresh.Elem())
		}
	}
	if d[table] == nil {
		d[table] = map[string]any{}
	}
	now := row.Interface()
	d[table][uuid] = now
	return client.Change{Table: table, UUID: uuid, Old: old, New: now}
}

// load reads a file of rows into an empty database.
func load(t testing.TB, name string) (database, client.Batch) {
	t.Helper()
	d := database{}
	var all client.Batch
	for _, l := range readLines(t, name) {
		all = append(all, d.set(t, l.Table, l.UUID, l.Row))
	}
	return d, all
}
