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

// columnSchema is <column-schema>.
type columnSchema struct {
	Type columnType `json:"type"`
}

// columnType is <type>. Of a type without these members they are nil.
type columnType struct {
	Key   baseType `json:"key"`
	Value baseType `json:"value"`
	Min   any      `json:"min"` // 0 or 1; nil is 1
	Max   any      `json:"max"` // a number or "unlimited"; nil is 1
}

// baseType is <base-type>, as much as the name of its <atomic-type>.
type baseType string

// UnmarshalJSON reads the short form as well, a string. What is neither is of no type.
func (t *columnType) UnmarshalJSON(data []byte) error {
	type long columnType
	if json.Unmarshal(data, &t.Key) == nil && t.Key != "" {
		return nil
	}
	_ = json.Unmarshal(data, (*long)(t))
	return nil
}

// UnmarshalJSON reads the short form as well, a string.
func (t *baseType) UnmarshalJSON(data []byte) error {
	var long struct{ Type string }
	if json.Unmarshal(data, (*string)(t)) != nil {
		_ = json.Unmarshal(data, &long)
		*t = baseType(long.Type)
	}
	return nil
}

// composite reports whether the column can hold more than one value. Of such columns
// update2 tells differences, of all others the new value (ovsdb_datum_diff in Open vSwitch's
// lib/ovsdb-data.c).
func (c columnSchema) composite() bool {
	n, number := c.Type.Max.(float64)
	return c.Type.Max == "unlimited" || number && n > 1
}

// atoms are the default values by atomic type.
var atoms = map[baseType]string{
	"string": `""`, "integer": `0`, "real": `0`, "boolean": `false`, "uuid": `["uuid","00000000-0000-0000-0000-000000000000"]`,
}

// initial returns the value that update2 leaves out of new rows: as many default values as
// there must be (ovsdb_datum_is_default). It is nil where that is none, or not known.
func (c columnSchema) initial() json.RawMessage {
	key, value := atoms[c.Type.Key], atoms[c.Type.Value]
	switch {
	case c.Type.Min == 0.0 || key == "":
		return nil
	case value != "":
		return json.RawMessage(`["map",[[` + key + `,` + value + `]]]`)
	case c.composite():
		return json.RawMessage(`["set",[` + key + `]]`)
	}
	return json.RawMessage(key)
}

// fit leaves out what the server does not serve.
func (s schema) fit(tables []*table) ([]*table, error) {
	var fitting []*table
	for _, t := range tables {
		served, ok := s.Tables[t.Name]
		if !ok && (t.Needed || len(t.NeededColumns) > 0) {
			return nil, fmt.Errorf("%w: there is no table %s", ErrSchema, t.Name)
		}
		if !ok {
			continue
		}
		t.served = func(column string) bool { _, ok := served.Columns[column]; return ok }
		t.columns = slices.DeleteFunc(t.columns, func(column string) bool { c, ok := served.Columns[column]; return !ok || !t.fit(column, c) })
		for _, column := range t.NeededColumns {
			if !slices.Contains(t.columns, column) {
				return nil, fmt.Errorf("%w: table %s has no column %s, or another type of it", ErrSchema, t.Name, column)
			}
		}
		fitting = append(fitting, t)
	}
	return fitting, nil
}

// fit notes how the server serves a column, and reports whether that can be read into the
// field of the model. One that became a set in a newer schema cannot be read into a single
// value.
func (t *table) fit(column string, c columnSchema) bool {
	f := t.fields[column]
	f.composite = c.composite()
	field := t.initial.FieldByIndex(f.index)
	if f.composite && field.Kind() != reflect.Slice && field.Kind() != reflect.Map {
		return false
	}
	r := reader{data: c.initial()}
	if len(r.data) == 0 {
		return true
	}
	if r.value(field); r.err != nil {
		field.SetZero()
	}
	return r.err == nil
}
