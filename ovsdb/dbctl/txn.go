package dbctl

import (
	"crypto/rand"
	"fmt"
	"slices"
)

// Txn is a transaction under construction. It shows rows as its own operations leave them,
// and is used by one goroutine.
type Txn struct {
	schema *Schema
	names  Names
	rows   map[string][]*Row // of each table that was read, and those created

	symbols  map[string]*symbol
	created  names // rows that it inserts
	ops      []operation
	verified []*Row // all rows that were looked up
	absent   []object
	comments []string
	results  []result // of ops, after it was carried out
}

// symbol is what @name stands for.
type symbol struct {
	uuid         UUID
	known        bool // it is a row, and not only mentioned
	weak, strong bool // there are such references to it
	created      bool
}

func newTxn(r *Reading, rows map[string][]*Row) *Txn {
	return &Txn{schema: r.schema, names: r.names, rows: rows, symbols: map[string]*symbol{}, created: names{}}
}

// Schema is of the database.
func (t *Txn) Schema() *Schema { return t.schema }

// Changes reports whether anything is to be changed.
func (t *Txn) Changes() bool { return len(t.ops) > 0 }

// Rows returns the rows of a table that was read, in an order that is always the same.
func (t *Txn) Rows(table *Table) []*Row { return slices.Clone(t.rows[table.Name]) }

// Set gives a column a new value.
func (t *Txn) Set(row *Row, c *Column, d Datum) {
	row.put(c, d)
	t.do(operation{op: "update", row: row, set: []assignment{{c, d}}})
}

// Put sets keys of a map and leaves its other keys as they are.
func (t *Txn) Put(row *Row, c *Column, pairs Datum) {
	row.put(c, row.Get(c).put(pairs))
	t.do(operation{op: "mutate", row: row, mutations: []mutation{
		{c, "delete", setOf(c), Datum{Keys: pairs.Keys}}, {c, "insert", c.Type, pairs},
	}})
}

// Add adds elements to a column; of a map those whose keys are not there.
func (t *Txn) Add(row *Row, c *Column, elements Datum) error {
	sum := row.Get(c).plus(elements)
	if sum.Len() > c.Type.Max {
		return fmt.Errorf("column %s of table %s would have %d values, and may have at most %d", c.Name, row.table.Name, sum.Len(), c.Type.Max)
	}
	row.put(c, sum)
	t.do(operation{op: "mutate", row: row, mutations: []mutation{{c, "insert", c.Type, elements}}})
	return nil
}

// Remove removes elements from a column: of a map the pairs of another map, or the keys of a set.
func (t *Txn) Remove(row *Row, c *Column, elements Datum) error {
	have := row.Get(c)
	left := have.minus(elements)
	switch {
	case left.Len() == have.Len():
		row.Verify(c)
		return nil
	case left.Len() < c.Type.Min:
		return fmt.Errorf("column %s of table %s would have %d values, and must have at least %d", c.Name, row.table.Name, left.Len(), c.Type.Min)
	}
	row.put(c, left)
	what := c.Type
	if elements.Values == nil {
		what = setOf(c)
	}
	t.do(operation{op: "mutate", row: row, mutations: []mutation{{c, "delete", what, elements}}})
	return nil
}

// setOf is the type of a set of a column's keys.
func setOf(c *Column) Type { return Type{Key: c.Type.Key, Max: Unlimited} }

// Create adds a row, which @id stands for if id is not "". The columns that it is not told have the values that the server gives them.
func (t *Txn) Create(table *Table, id string) (*Row, error) {
	uuid := newUUID()
	if id != "" {
		s := t.mention(id)
		if s.known {
			return nil, fmt.Errorf("@%.64s is the id of two rows", id)
		}
		s.known, s.created = true, true
		uuid = s.uuid
	}
	row := &Row{UUID: uuid, table: table, created: true, read: map[string]Datum{}}
	for _, c := range table.columns() {
		row.read[c.Name] = c.Type.initial()
	}
	t.rows[table.Name] = append(t.rows[table.Name], row)
	t.created[uuid] = fmt.Sprintf("row%d", len(t.created))
	t.do(operation{op: "insert", row: row})
	return row, nil
}

// VerifyAbsent makes the transaction fail, to be begun anew, if there is a row with this value when it is carried out, unless
// it is one that the transaction removes.
func (t *Txn) VerifyAbsent(table *Table, c *Column, value Datum) {
	for _, op := range t.ops {
		if op.op == "delete" && op.row.table == table && op.row.Get(c).compare(value) == 0 {
			return
		}
	}
	t.none(table, []any{c.Name, "==", names(nil).json(c.Type, value)})
}

// VerifyEmpty is VerifyAbsent for all rows of a table.
func (t *Txn) VerifyEmpty(table *Table) { t.none(table) }

// none has the transaction fail if there are rows that meet the conditions.
func (t *Txn) none(table *Table, conditions ...any) {
	t.absent = append(t.absent, object{"op": "wait", "timeout": 0, "table": table.Name, "until": "==", "rows": []object{},
		"columns": []string{uuidColumn.Name}, "where": append([]any{}, conditions...)})
}

// Created returns the uuid that the server has given a row of Create. Before the
// transaction was carried out it is the one that the row has within it.
func (t *Txn) Created(row *Row) UUID {
	for i, op := range t.ops {
		if op.op == "insert" && op.row == row && i < len(t.results) {
			if uuid, ok := uuidOf(t.results[i].UUID); ok {
				return uuid
			}
		}
	}
	return row.UUID
}

// Destroy removes a row. One of a table that is no root stays where references lead to it,
// and is gone without.
func (t *Txn) Destroy(row *Row) {
	name := row.table.Name
	t.rows[name] = slices.DeleteFunc(slices.Clone(t.rows[name]), func(r *Row) bool { return r == row })
	switch {
	case row.created:
		t.ops = slices.DeleteFunc(t.ops, func(op operation) bool { return op.row == row })
	case row.table.Root:
		t.do(operation{op: "delete", row: row})
	}
}

// Define lets @id stand for a row that was there before.
func (t *Txn) Define(id string, row *Row) error {
	s := t.symbols[id]
	switch {
	case s == nil:
		t.symbols[id] = &symbol{uuid: row.UUID, known: true}
		return nil
	case s.known:
		return fmt.Errorf("@%.64s is the id of two rows", id)
	}
	return fmt.Errorf("@%.64s is used before the get that says what it is", id)
}

// Comment goes into the database's log with the changes.
func (t *Txn) Comment(text string) { t.comments = append(t.comments, text) }

// reference tells the parser of values what @name is.
func (t *Txn) reference(name string, of Base) (UUID, error) {
	s := t.mention(name)
	s.weak = s.weak || of.Weak
	s.strong = s.strong || !of.Weak
	return s.uuid, nil
}

func (t *Txn) mention(name string) *symbol {
	s := t.symbols[name]
	if s == nil {
		s = &symbol{uuid: newUUID()}
		t.symbols[name] = s
	}
	return s
}

// do adds an operation. What is done to a new row is part of its insertion.
func (t *Txn) do(op operation) {
	if op.row.created && op.op != "insert" {
		return
	}
	op.row.Verify()
	t.ops = append(t.ops, op)
}

// newUUID returns a random uuid (RFC 4122, version 4).
func newUUID() UUID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return UUID(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}
