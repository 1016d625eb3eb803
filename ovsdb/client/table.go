package client

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Table says what to read of a table.
type Table struct {
	Name string
	// Row is a pointer, may be nil, to the struct type of its rows, with tags as libovsdb's
	// modelgen writes them (`ovsdb:"column"`). The field of column _uuid is set always. A struct
	// may embed a generated one and add columns that its schema did not have yet. Empty sets
	// and maps are nil; sets have no order.
	Row any
	// Columns are those to read; empty: all that Row has.
	Columns []string
	// Where has conditions of which a row must meet one; empty: all rows are read. A server
	// without monitor_cond sends all rows, and so does one whose schema lacks a column that a
	// condition names.
	Where []Condition

	Needed        bool     // a server without the table is left
	NeededColumns []string // a server without one of these is left; they are among Columns
}

// table is a Table as a server serves it, with its rows.
type table struct {
	Table
	typ     reflect.Type
	fields  map[string]*field // by column
	columns []string          // to read
	initial reflect.Value     // a row of default values
	served  func(column string) bool
	rows    map[string]any // by uuid; a row that was stored is never changed
	limit   int
}

// field is where a column is put.
type field struct {
	index     []int
	composite bool // the server's column can hold more than one value: changes are differences
}

func newTables(wanted []Table, limit int) ([]*table, error) {
	var tables []*table
	seen := map[string]bool{}
	for _, w := range wanted {
		t, err := newTable(w, limit)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", w.Name, err)
		}
		if seen[w.Name] {
			return nil, fmt.Errorf("table %s is named twice", w.Name)
		}
		seen[w.Name] = true
		tables = append(tables, t)
	}
	return tables, nil
}

func newTable(w Table, limit int) (*table, error) {
	typ := reflect.TypeOf(w.Row)
	if typ == nil || typ.Kind() != reflect.Pointer || typ.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("its rows are of type %v, which is no pointer to a struct", typ)
	}
	t := &table{Table: w, typ: typ.Elem(), fields: fieldsOf(typ.Elem()), rows: map[string]any{}, limit: limit,
		initial: reflect.New(typ.Elem()).Elem()}
	if t.columns = w.Columns; len(t.columns) == 0 {
		t.columns = slices.Sorted(maps.Keys(t.fields))
	}
	if f := t.fields["_uuid"]; f != nil && t.typ.FieldByIndex(f.index).Type.Kind() != reflect.String {
		return nil, fmt.Errorf("%v has a _uuid that is no string", typ)
	}
	t.columns = slices.DeleteFunc(slices.Clone(t.columns), func(c string) bool { return c == "_uuid" })
	for _, column := range append(w.NeededColumns, t.columns...) {
		f := t.fields[column]
		if f == nil || !slices.Contains(t.columns, column) {
			return nil, fmt.Errorf("%v has no column %s, or it is needed and not read", typ, column)
		}
		if _, err := reflect.Zero(t.typ).FieldByIndexErr(f.index); err != nil {
			return nil, fmt.Errorf("column %s: %w", column, err)
		}
	}
	return t, nil
}

// where returns the conditions that the server can check, nil for all rows.
func (t *table) where(conditions []Condition) []Condition {
	for _, c := range conditions {
		if c.Column != "" && c.Column != "_uuid" && !t.served(c.Column) {
			return nil
		}
	}
	return conditions
}

// apply reads what an update says of one row and returns what that is. It is one of
// <row-update>, which has members old and new, one where a row came or went, and of
// <row-update2>, which has one member.
func (t *table) apply(uuid string, r *reader) Change {
	old := t.rows[uuid]
	c := Change{Table: t.Name, UUID: uuid, Old: old}
	said := false
	for r.enter('{'); r.more('}'); said = true {
		switch member := r.bytes(); string(member) {
		case "new", "initial", "insert":
			c.New = t.read(uuid, t.initial, r, false)
		case "modify":
			if old == nil {
				r.fail("it is modified, but was never sent")
				return c
			}
			c.New = t.read(uuid, reflect.ValueOf(old).Elem(), r, true)
		case "old", "delete":
			r.skip()
		default:
			r.fail("an unknown member %.64q", member)
		}
	}
	if !said {
		r.fail("an update that says nothing")
	}
	if r.err != nil {
		return c
	}
	if c.New == nil {
		delete(t.rows, uuid)
	} else if t.rows[uuid] = c.New; len(t.rows) > t.limit {
		r.fail("there are more than %d", t.limit)
	}
	return c
}

// read returns a new row that is another one but for the columns that the server sent: their
// values, or where there can be several values the differences.
func (t *table) read(uuid string, from reflect.Value, r *reader, differences bool) any {
	row := reflect.New(t.typ)
	row.Elem().Set(from)
	if f := t.fields["_uuid"]; f != nil {
		row.Elem().FieldByIndex(f.index).SetString(uuid)
	}
	for r.enter('{'); r.more('}'); {
		name := r.bytes()
		f := t.fields[string(name)]
		switch {
		case f == nil || string(name) == "_uuid":
			r.skip()
		case differences && f.composite:
			r.difference(row.Elem().FieldByIndex(f.index))
		default:
			r.value(row.Elem().FieldByIndex(f.index))
		}
		r.within("column %.64q", name)
	}
	return row.Interface()
}

func (t *table) all(batch Batch) Batch {
	for _, uuid := range slices.Sorted(maps.Keys(t.rows)) {
		batch = append(batch, Change{Table: t.Name, UUID: uuid, New: t.rows[uuid]})
	}
	return batch
}
