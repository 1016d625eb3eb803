package client

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// schema is as much of a database schema (RFC 7047, section 3.2) as is used.
type schema struct {
	Tables map[string]struct {
		Columns map[string]columnSchema `json:"columns"`
	} `json:"tables"`
}

type columnSchema struct {
	Type json.RawMessage `json:"type"`
}

// composite reports whether the column can hold more than one value. Of such columns
// update2 tells differences, of all others the new value (ovsdb_datum_diff in Open vSwitch's
// lib/ovsdb-data.c).
func (c columnSchema) composite() bool {
	var t struct{ Max any }
	if json.Unmarshal(c.Type, &t) != nil { // an atomic type is a string
		return false
	}
	n, number := t.Max.(float64)
	return t.Max == "unlimited" || number && n > 1
}

// fits reports whether a column of that schema can be read into a field of that type. One
// that became a set in a newer schema cannot be read into a single value.
func (c columnSchema) fits(field reflect.Type) bool {
	return !c.composite() || field.Kind() == reflect.Slice || field.Kind() == reflect.Map
}

// fit leaves out what the server does not serve.
func (s schema) fit(tables []*table) ([]*table, error) {
	var fitting []*table
	for _, t := range tables {
		served, ok := s.Tables[t.Name]
		if !ok && (t.Needed || len(t.NeededColumns) > 0) {
			return nil, fmt.Errorf("%w: the schema has no table %s", ErrProtocol, t.Name)
		}
		if !ok {
			continue
		}
		t.served = func(column string) bool { _, ok := served.Columns[column]; return ok }
		t.composite = map[string]bool{}
		t.columns = slices.DeleteFunc(t.columns, func(column string) bool {
			c, ok := served.Columns[column]
			t.composite[column] = c.composite()
			return !ok || !c.fits(t.typ.FieldByIndex(t.fields[column]).Type)
		})
		for _, column := range t.NeededColumns {
			if !slices.Contains(t.columns, column) {
				return nil, fmt.Errorf("%w: the schema of table %s has no column %s, or another type of it", ErrProtocol, t.Name, column)
			}
		}
		fitting = append(fitting, t)
	}
	return fitting, nil
}
