package dbctl

import (
	"fmt"
	"slices"
)

// Lookup finds a row by its uuid or the beginning of it, by its name, or by "." the only one.
// It is nil where there is none; that this is so is not verified, but by the indexes of the table.
func (t *Txn) Lookup(table *Table, record string) (*Row, error) {
	row, err := t.lookup(table, record)
	if row != nil {
		t.verified = append(t.verified, row)
	}
	return row, err
}

// Row is Lookup where the row must be there.
func (t *Txn) Row(table *Table, record string) (*Row, error) {
	row, err := t.Lookup(table, record)
	if err == nil && row == nil {
		err = fmt.Errorf("no row %.200q in table %s", record, table.Name)
	}
	return row, err
}

func (t *Txn) lookup(table *Table, record string) (*Row, error) {
	rows := t.rows[table.Name]
	if uuid, ok := parseUUID(record); ok {
		if row := withUUID(rows, uuid); row != nil {
			return row, nil
		}
	}
	if record == "." && len(rows) == 1 {
		return rows[0], nil
	}
	for _, way := range t.names.of(t.schema, table) {
		if row, err := t.named(table, way, record); row != nil || err != nil {
			return row, err
		}
	}
	var found *Row
	for _, row := range rows {
		if !row.UUID.abbreviates(record) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%.64q is the beginning of several uuids in table %s, such as %s and %s", record, table.Name, found.UUID, row.UUID)
		}
		found = row
	}
	return found, nil
}

func withUUID(rows []*Row, uuid UUID) *Row {
	if i := slices.IndexFunc(rows, func(r *Row) bool { return r.UUID == uuid }); i >= 0 {
		return rows[i]
	}
	return nil
}

// named finds the row that has a name in one way.
func (t *Txn) named(table *Table, way Name, name string) (*Row, error) {
	in := table
	if way.Table != "" {
		in = t.schema.Tables[way.Table]
	}
	var found *Row
	for _, row := range t.rows[in.Name] {
		column := in.Columns[way.Column]
		if !called(column, row.Get(column), name) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("several rows of table %s are called %.200q", in.Name, name)
		}
		row.Verify(column)
		found = row
	}
	if way.Table == "" || found == nil {
		return found, nil
	}
	reference := in.Columns[way.Reference]
	found.Verify(reference)
	t.verified = append(t.verified, found)
	d := found.Get(reference)
	if d.Len() != 1 {
		return nil, nil
	}
	uuid, _ := d.Keys[0].(UUID)
	return withUUID(t.rows[table.Name], uuid), nil
}
