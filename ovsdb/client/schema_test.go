package client

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovnnb"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

// whole reads all columns, and needs them.
func whole(name string, row any) Table {
	t := Table{Name: name, Row: row, Needed: true}
	for column := range fieldsOf(reflect.TypeOf(row).Elem()) {
		if column != "_uuid" {
			t.NeededColumns = append(t.NeededColumns, column)
		}
	}
	return t
}

// The installed OVN serves each column of the generated types as what it is there.
func TestOVNSchemas(t *testing.T) {
	for database, test := range map[string]struct {
		schema string
		tables []Table
	}{
		"OVN_Southbound": {ovsdbtest.Southbound, []Table{
			whole(ovnsb.SBGlobalTable, (*ovnsb.SBGlobal)(nil)), whole(ovnsb.ChassisTable, (*ovnsb.Chassis)(nil)),
			whole(ovnsb.ChassisPrivateTable, (*ovnsb.ChassisPrivate)(nil)), whole(ovnsb.DatapathBindingTable, (*ovnsb.DatapathBinding)(nil)),
			whole(ovnsb.LogicalDPGroupTable, (*ovnsb.LogicalDPGroup)(nil)), whole(ovnsb.PortBindingTable, (*ovnsb.PortBinding)(nil)),
			whole(ovnsb.PortGroupTable, (*ovnsb.PortGroup)(nil)), whole(ovnsb.AddressSetTable, (*ovnsb.AddressSet)(nil)),
			whole(ovnsb.LogicalFlowTable, (*ovnsb.LogicalFlow)(nil)),
		}},
		"OVN_Northbound": {ovsdbtest.Northbound, []Table{
			whole(ovnnb.NBGlobalTable, (*ovnnb.NBGlobal)(nil)), whole(ovnnb.LogicalSwitchTable, (*ovnnb.LogicalSwitch)(nil)),
			whole(ovnnb.LogicalSwitchPortTable, (*ovnnb.LogicalSwitchPort)(nil)), whole(ovnnb.PortGroupTable, (*ovnnb.PortGroup)(nil)),
			whole(ovnnb.ACLTable, (*ovnnb.ACL)(nil)), whole(ovnnb.AddressSetTable, (*ovnnb.AddressSet)(nil)),
		}},
	} {
		t.Run(database, func(t *testing.T) {
			cfg := bridges(ovsdbtest.Start(t, test.schema).Endpoint())
			cfg.Database, cfg.Tables = database, test.tables
			_, r := run(t, cfg)
			r.await("the database", func(r *recorder) bool {
				if r.err != nil {
					t.Fatal(r.err)
				}
				return r.sync
			})
		})
	}
}

// futureBridge has what the generated type has, and a column of another time.
type futureBridge struct {
	vswitchd.Bridge
	Tier int `ovsdb:"tier"`
}

func TestMissingColumns(t *testing.T) {
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	s.VSCtl("init", "--", "add-br", "br0")
	cfg := bridges(s.Endpoint())
	cfg.Tables = []Table{{Name: "Bridge", Row: (*futureBridge)(nil)}, {Name: "Of_The_Future", Row: (*futureBridge)(nil)}}
	_, r := run(t, cfg)
	r.await("br0", func(r *recorder) bool {
		for _, row := range r.rows["Bridge"] {
			return row.(*futureBridge).Name == "br0"
		}
		return false
	})
	cfg.Tables[0].NeededColumns = []string{"tier"}
	_, r = run(t, cfg)
	r.await("an error", func(r *recorder) bool {
		return errors.Is(r.err, ErrSchema) && strings.Contains(r.err.Error(), "no column tier")
	})
	cfg.Tables[0].NeededColumns, cfg.Tables[1].Needed = nil, true
	_, r = run(t, cfg)
	r.await("an error", func(r *recorder) bool {
		return errors.Is(r.err, ErrSchema) && strings.Contains(r.err.Error(), "no table Of_The_Future")
	})
}

// What has another type in the server's schema is left out.
func TestOtherTypes(t *testing.T) {
	type model struct {
		A *string           `ovsdb:"a"`
		B []string          `ovsdb:"b"`
		C map[string]string `ovsdb:"c"`
		D int               `ovsdb:"d"`
		E string            `ovsdb:"e"`
		F string            `ovsdb:"f"`
	}
	for text, want := range map[string]string{
		`"a":{"type":{"key":"string","min":0,"max":1}},"b":{"type":{"key":"string","min":0,"max":"unlimited"}},"d":{"type":"integer"}`:        "a b d",
		`"a":{"type":{"key":"string","min":0,"max":2}},"b":{"type":"string"},"d":{"type":"string"}`:                                           "b",
		`"a":{"type":{"key":{"type":"string"},"min":1,"max":1}},"c":{"type":"string"},"d":{"type":{"key":{"type":"integer","minInteger":1}}}`: "a d",
		`"e":{"type":{"key":{"type":"uuid","refTable":"T"}}},"f":{"type":{"key":{"type":"string","enum":["set",["x","y"]]}}}`:                 "e f",
		`"a":{"type":7},"b":{"type":[]},"c":{"type":{"key":[],"max":{}}},"d":{},"f":{"type":null}`:                                            "a b c d f",
	} {
		var s schema
		if err := json.Unmarshal([]byte(`{"tables":{"T":{"columns":{`+text+`}}}}`), &s); err != nil {
			t.Fatal(err)
		}
		tables, err := newTables([]Table{{Name: "T", Row: (*model)(nil)}}, 10)
		if err != nil {
			t.Fatal(err)
		}
		fitting, err := s.fit(tables)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(fitting[0].columns, " "); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestBadTables(t *testing.T) {
	type pointed struct{ *vswitchd.Bridge }
	type number struct {
		UUID int `ovsdb:"_uuid"`
	}
	row := (*vswitchd.Bridge)(nil)
	for name, tables := range map[string][]Table{
		"no row":            {{Name: "Bridge"}},
		"no pointer":        {{Name: "Bridge", Row: vswitchd.Bridge{}}},
		"no struct":         {{Name: "Bridge", Row: new(int)}},
		"unknown column":    {{Name: "Bridge", Row: row, Columns: []string{"nothing"}}},
		"needed, not read":  {{Name: "Bridge", Row: row, Columns: []string{"name"}, NeededColumns: []string{"ports"}}},
		"twice":             {{Name: "Bridge", Row: row}, {Name: "Bridge", Row: row}},
		"embedded pointer":  {{Name: "Bridge", Row: (*pointed)(nil)}},
		"uuid is no string": {{Name: "Bridge", Row: (*number)(nil)}},
	} {
		cfg := bridges("unix:/x")
		cfg.Tables = tables
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	cfg := bridges("unix:/x")
	cfg.Database = ""
	if _, err := New(cfg); err == nil {
		t.Error("no database: no error")
	}
}
