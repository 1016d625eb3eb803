package dbctl

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Row is a row as a transaction sees it.
type Row struct {
	UUID UUID // of a row that the transaction creates only within it

	table   *Table
	read    map[string]Datum // as it was read
	now     map[string]Datum // as the transaction has left it; what it has not changed is not in it
	created bool
	verify  map[string]bool // columns of read that must still be so; nil = the row need not even be there
}

// Get returns the value of a column that was to be read.
func (r *Row) Get(c *Column) Datum {
	if c == uuidColumn {
		return Datum{Keys: []Atom{r.UUID}}
	}
	if d, ok := r.now[c.Name]; ok {
		return d
	}
	return r.read[c.Name]
}

func (r *Row) put(c *Column, d Datum) {
	if r.now == nil {
		r.now = map[string]Datum{}
	}
	r.now[c.Name] = d
}

// Verify makes the transaction fail, to be begun anew, unless the columns are as they were
// read when it is carried out. Without columns only the row must be there. Columns of reals are
// not verified: a server tells 15 digits of them, and compares all.
func (r *Row) Verify(columns ...*Column) {
	if r.created {
		return
	}
	if r.verify == nil {
		r.verify = map[string]bool{}
	}
	for _, c := range columns {
		if c != uuidColumn && c.Type.Key.Kind != Reals && c.Type.Value.Kind != Reals {
			r.verify[c.Name] = true
		}
	}
}

// Reading is what a batch reads before its commands run: columns of tables, complete.
type Reading struct {
	schema *Schema
	names  Names
	tables map[string]map[string]bool
}

// Schema is of the database.
func (r *Reading) Schema() *Schema { return r.schema }

// Columns asks for columns of a table, in all its rows.
func (r *Reading) Columns(t *Table, columns ...*Column) {
	if r.tables[t.Name] == nil {
		r.tables[t.Name] = map[string]bool{}
	}
	for _, c := range columns {
		if c != uuidColumn {
			r.tables[t.Name][c.Name] = true
		}
	}
}

// Named asks for what it takes to find rows of a table by their names.
func (r *Reading) Named(t *Table) {
	r.Columns(t)
	for _, n := range r.names.of(r.schema, t) {
		in := t
		if n.Table != "" {
			in = r.schema.Tables[n.Table]
			r.Columns(in, in.Columns[n.Reference])
		}
		r.Columns(in, in.Columns[n.Column])
	}
}

// order returns the tables that are read, always in the same order.
func (r *Reading) order() []string { return slices.Sorted(maps.Keys(r.tables)) }

// operations are those that read.
func (r *Reading) operations() []any {
	var ops []any
	for _, name := range r.order() {
		columns := append([]string{"_uuid"}, slices.Sorted(maps.Keys(r.tables[name]))...)
		ops = append(ops, map[string]any{"op": "select", "table": name, "where": []any{}, "columns": columns})
	}
	return ops
}

// rows reads the results of operations.
func (r *Reading) rows(results []json.RawMessage) (map[string][]*Row, error) {
	tables := map[string][]*Row{}
	for i, name := range r.order() {
		var result struct {
			Rows    []map[string]json.RawMessage
			Error   string
			Details string
		}
		if i >= len(results) {
			return nil, fmt.Errorf("read table %s: no result", name)
		}
		if err := json.Unmarshal(results[i], &result); err != nil {
			return nil, fmt.Errorf("read table %s: %w", name, err)
		}
		if result.Error != "" {
			return nil, fmt.Errorf("read table %s: %s", name, refusal(result.Error, result.Details))
		}
		for _, raw := range result.Rows {
			row, err := newRow(r.schema.Tables[name], raw)
			if err != nil {
				return nil, fmt.Errorf("read table %s: %w", name, err)
			}
			tables[name] = append(tables[name], row)
		}
		sortRows(tables[name], r.names.of(r.schema, r.schema.Tables[name]))
	}
	return tables, nil
}

func newRow(t *Table, raw map[string]json.RawMessage) (*Row, error) {
	r := &Row{table: t, read: map[string]Datum{}}
	for name, data := range raw {
		c := t.Columns[name]
		if name == uuidColumn.Name {
			c = uuidColumn
		}
		if c == nil {
			continue
		}
		d, err := decodeDatum(c.Type, data)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", name, err)
		}
		if r.read[name] = d; c == uuidColumn && d.Len() == 1 {
			r.UUID, _ = d.Keys[0].(UUID)
		}
	}
	if r.UUID == "" {
		return nil, fmt.Errorf("a row without uuid")
	}
	return r, nil
}

// sortRows orders rows by what they are called, then by uuid.
func sortRows(rows []*Row, ways []Name) {
	slices.SortFunc(rows, func(a, b *Row) int {
		for _, w := range ways {
			if w.Table == "" {
				if c := a.read[w.Column].compare(b.read[w.Column]); c != 0 {
					return c
				}
			}
		}
		return cmp.Compare(a.UUID, b.UUID)
	})
}
