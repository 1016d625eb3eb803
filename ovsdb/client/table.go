package client

import (
	"encoding/json"
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
	// may embed a generated one and add columns that its schema did not have yet.
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
	typ       reflect.Type
	fields    map[string][]int // by column
	composite map[string]bool  // columns that hold more than one value: changes are differences
	columns   []string         // to read
	served    func(column string) bool
	rows      map[string]any // by uuid; a row that was stored is never changed
	limit     int
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
	t := &table{Table: w, typ: typ.Elem(), fields: columnsOf(typ.Elem()), rows: map[string]any{}, limit: limit}
	if t.columns = w.Columns; len(t.columns) == 0 {
		t.columns = slices.Sorted(maps.Keys(t.fields))
	}
	if index, ok := t.fields["_uuid"]; ok && t.typ.FieldByIndex(index).Type.Kind() != reflect.String {
		return nil, fmt.Errorf("%v has a _uuid that is no string", typ)
	}
	t.columns = slices.DeleteFunc(slices.Clone(t.columns), func(c string) bool { return c == "_uuid" })
	for _, column := range append(w.NeededColumns, t.columns...) {
		index, ok := t.fields[column]
		if !ok || !slices.Contains(t.columns, column) {
			return nil, fmt.Errorf("%v has no column %s, or it is needed and not read", typ, column)
		}
		if _, err := reflect.Zero(t.typ).FieldByIndexErr(index); err != nil {
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

// rowUpdate is <row-update>, which has members old and new, one where a row came or went,
// or <row-update2>, which has one of the others.
type rowUpdate struct {
	New, Initial, Insert, Modify row
	Old, Delete                  json.RawMessage
}

type row map[string]json.RawMessage

// apply carries out what an update says of the table.
func (t *table) apply(batch Batch, updates map[string]rowUpdate) (Batch, error) {
	for _, uuid := range slices.Sorted(maps.Keys(updates)) {
		old := t.rows[uuid]
		now, err := t.next(uuid, old, updates[uuid])
		if err != nil {
			return nil, fmt.Errorf("table %s, row %.64q: %w", t.Name, uuid, err)
		}
		if now != nil {
			t.rows[uuid] = now
		} else {
			delete(t.rows, uuid)
		}
		if old != nil || now != nil {
			batch = append(batch, Change{Table: t.Name, UUID: uuid, Old: old, New: now})
		}
	}
	if len(t.rows) > t.limit {
		return nil, fmt.Errorf("%w: more than %d rows in table %s", ErrProtocol, t.limit, t.Name)
	}
	return batch, nil
}

// next returns what a row is after an update, nil for one that is gone.
func (t *table) next(uuid string, old any, u rowUpdate) (any, error) {
	switch {
	case u.New != nil:
		return t.decode(uuid, u.New)
	case u.Initial != nil:
		return t.decode(uuid, u.Initial)
	case u.Insert != nil:
		return t.decode(uuid, u.Insert)
	case u.Modify != nil && old == nil:
		return nil, fmt.Errorf("%w: it is modified, but was never sent", ErrProtocol)
	case u.Modify != nil:
		return t.modify(old, u.Modify)
	case u.Old != nil, u.Delete != nil:
		return nil, nil
	}
	return nil, fmt.Errorf("%w: an update that says nothing", ErrProtocol)
}

// decode returns a new row. Columns that are not sent have their default, which is the
// zero value.
func (t *table) decode(uuid string, columns row) (any, error) {
	into := reflect.New(t.typ)
	if index, ok := t.fields["_uuid"]; ok {
		into.Elem().FieldByIndex(index).SetString(uuid)
	}
	for name, raw := range columns {
		index, known := t.fields[name]
		if !known || name == "_uuid" {
			continue
		}
		if err := decodeValue(raw, into.Elem().FieldByIndex(index)); err != nil {
			return nil, fmt.Errorf("%w: column %.64q: %w", ErrProtocol, name, err)
		}
	}
	return into.Interface(), nil
}

// modify returns a row that differs from another in some columns.
func (t *table) modify(old any, columns row) (any, error) {
	into := reflect.New(t.typ)
	into.Elem().Set(reflect.ValueOf(old).Elem())
	for name, raw := range columns {
		index, known := t.fields[name]
		if !known || name == "_uuid" {
			continue
		}
		field := into.Elem().FieldByIndex(index)
		change := decodeValue
		if t.composite[name] {
			change = applyDifference
		}
		if err := change(raw, field); err != nil {
			return nil, fmt.Errorf("%w: column %.64q: %w", ErrProtocol, name, err)
		}
	}
	return into.Interface(), nil
}

func (t *table) all(batch Batch) Batch {
	for _, uuid := range slices.Sorted(maps.Keys(t.rows)) {
		batch = append(batch, Change{Table: t.Name, UUID: uuid, New: t.rows[uuid]})
	}
	return batch
}
