package dbctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// operation changes one row.
type operation struct {
	op        string // "insert", "update", "mutate", "delete"
	row       *Row
	set       []assignment // of update
	mutations []mutation
}

type assignment struct {
	column *Column
	value  Datum
}

type mutation struct {
	column  *Column
	mutator string
	what    Type
	value   Datum
}

// result is <operation-result> or an error (RFC 7047, section 4.1.3).
type result struct {
	UUID    []any
	Error   string
	Details string
}

// object is an object of JSON.
type object map[string]any

func (n names) json(t Type, d Datum) json.RawMessage { return n.datum(nil, t, d) }

func (o operation) encode(created names) object {
	table := o.row.table
	if o.op == "insert" {
		row := object{}
		for name, d := range o.row.now {
			row[name] = created.json(table.Columns[name].Type, d)
		}
		return object{"op": o.op, "table": table.Name, "uuid-name": created[o.row.UUID], "row": row}
	}
	encoded := object{"op": o.op, "table": table.Name, "where": where(o.row)}
	switch o.op {
	case "update":
		row := object{}
		for _, a := range o.set {
			row[a.column.Name] = created.json(a.column.Type, a.value)
		}
		encoded["row"] = row
	case "mutate":
		var list [][]any
		for _, m := range o.mutations {
			list = append(list, []any{m.column.Name, m.mutator, created.json(m.what, m.value)})
		}
		encoded["mutations"] = list
	}
	return encoded
}

func where(row *Row) []any {
	return []any{[]any{"_uuid", "==", []string{"uuid", string(row.UUID)}}}
}

// wait is the operation that fails unless a row is as it was read.
func (r *Row) wait() object {
	columns := append([]string{"_uuid"}, slices.Sorted(maps.Keys(r.verify))...)
	row := object{}
	for _, name := range columns {
		c := r.table.Columns[name]
		if name == "_uuid" {
			c = uuidColumn
		}
		row[name] = names(nil).json(c.Type, r.read[name])
	}
	return object{"op": "wait", "timeout": 0, "table": r.table.Name, "where": where(r),
		"columns": columns, "until": "==", "rows": []object{row}}
}

// waits are the operations of all rows that something relies on.
func (t *Txn) waits() []any {
	var list []any
	for _, wait := range t.absent {
		list = append(list, wait)
	}
	seen := map[*Row]bool{}
	rows := slices.Clone(t.verified)
	for _, op := range t.ops {
		rows = append(rows, op.row)
	}
	for _, row := range rows {
		if !seen[row] && row.verify != nil && !row.created {
			list = append(list, row.wait())
		}
		seen[row] = true
	}
	return list
}

// operations are all of the transaction; the results of t.ops follow those of the first n.
func (t *Txn) operations(dryRun bool) (ops []any, n int) {
	ops = t.waits()
	n = len(ops)
	for _, op := range t.ops {
		ops = append(ops, op.encode(t.created))
	}
	if len(t.comments) > 0 {
		ops = append(ops, object{"op": "comment", "comment": strings.Join(t.comments, "\n")})
	}
	if dryRun {
		ops = append(ops, object{"op": "abort"})
	}
	return ops, n
}

// errRace is that something a transaction relied on has changed.
var errRace = errors.New("the database was changed meanwhile")

// finish reads the results of operations.
func (t *Txn) finish(raw []json.RawMessage, n int, dryRun bool) error {
	results := make([]result, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &results[i]); err != nil {
			return fmt.Errorf("result of a transaction: %w", err)
		}
		switch r := results[i]; {
		case r.Error == "":
		case i < n && r.Error == "timed out":
			return errRace
		case r.Error == "aborted" && dryRun:
		default:
			return fmt.Errorf("transaction error: %s", refusal(r.Error, r.Details))
		}
	}
	if len(results) < n+len(t.ops) {
		return fmt.Errorf("a transaction of %d operations has %d results", n+len(t.ops), len(results))
	}
	t.results = results[n:]
	return nil
}

func refusal(kind, details string) string {
	if details == "" {
		return kind
	}
	return fmt.Sprintf("%s (%s)", details, kind)
}

// undefined returns an error for an @name that no command has defined.
func (t *Txn) undefined() error {
	for _, name := range slices.Sorted(maps.Keys(t.symbols)) {
		if !t.symbols[name].known {
			return fmt.Errorf("@%.64s stands for no row: no create of the batch has --id=@%.64s", name, name)
		}
	}
	return nil
}

// warnings are about rows that the server will remove at once.
func (t *Txn) warnings() []string {
	var list []string
	for _, op := range t.ops {
		if op.op == "insert" && !op.row.table.Root && !t.referenced(op.row) {
			list = append(list, fmt.Sprintf("a new row of table %s is removed again at once: nothing refers to it that would keep it", op.row.table.Name))
		}
	}
	return list
}

func (t *Txn) referenced(row *Row) bool {
	for _, s := range t.symbols {
		if s.uuid == row.UUID {
			return s.strong
		}
	}
	return false
}
