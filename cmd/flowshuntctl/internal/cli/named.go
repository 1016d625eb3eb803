package cli

import (
	"fmt"
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
)

// named is a table of the policy database whose rows have names, and what one of them is called.
type named struct{ table, noun string }

var (
	policies = named{"Offload_Policy", "policy"}
	profiles = named{"Decryption_Profile", "profile"}
	wires    = named{"Wire", "wire"}
)

var (
	mayExist = dbctl.Option{Name: "may-exist", Help: "do nothing if there is one of this name that says the same"}
	ifExists = dbctl.Option{Name: "if-exists", Help: "do nothing if there is none of this name"}
)

// in finds the table in a schema.
func (n named) in(s *dbctl.Schema) (*dbctl.Table, error) {
	if table := s.Tables[n.table]; table != nil {
		return table, nil
	}
	return nil, fmt.Errorf("the database %.64s has no table %s: is it the right one, and has it been converted? see: flowshuntctl init --help", s.Name, n.table)
}

// read asks for all of the table.
func (n named) read(r *dbctl.Reading, _ *dbctl.Call) error {
	table, err := n.in(r.Schema())
	if err == nil {
		r.Columns(table, slices.Collect(maps.Values(table.Columns))...)
		r.Named(table)
	}
	return err
}

// find returns the row of this very name, or nil.
func (n named) find(t *dbctl.Txn, table *dbctl.Table, name string) *dbctl.Row {
	for _, row := range t.Rows(table) {
		if text(row, table, "name") == name {
			row.Verify(table.Columns["name"])
			return row
		}
	}
	return nil
}

// add adds a row that fill fills. If there is one of its name already that must be allowed, and they must say the same.
func (n named) add(t *dbctl.Txn, c *dbctl.Call, fill func(*dbctl.Table, *dbctl.Row) error) error {
	table, err := n.in(t.Schema())
	if err != nil {
		return err
	}
	old := n.find(t, table, c.Args[0])
	row, err := t.Create(table, "")
	if err != nil {
		return err
	}
	t.Set(row, table.Columns["name"], dbctl.SetOf(c.Args[0]))
	if err := fill(table, row); err != nil {
		return err
	}
	switch {
	case old == nil:
		t.VerifyAbsent(table, table.Columns["name"], dbctl.SetOf(c.Args[0]))
		return nil
	case !c.Has(mayExist.Name):
		return fmt.Errorf("there is a %s %.200q already", n.noun, c.Args[0])
	}
	t.Destroy(row)
	return n.same(table, old, row)
}

// same returns an error unless a row says what another one would.
func (n named) same(table *dbctl.Table, have, want *dbctl.Row) error {
	for _, name := range slices.Sorted(maps.Keys(table.Columns)) {
		column := table.Columns[name]
		a, b := dbctl.Plain.Datum(column.Type, have.Get(column)), dbctl.Plain.Datum(column.Type, want.Get(column))
		if name == "status" || name == "external_ids" && want.Get(column).Len() == 0 {
			continue
		}
		have.Verify(column)
		if a != b {
			return fmt.Errorf("there is a %s %.200q already, whose %s is %s, not %s", n.noun, text(have, table, "name"), name, a, b)
		}
	}
	return nil
}

// del is the command that removes a row.
func (n named) del() *dbctl.Command {
	name := "del-" + n.noun
	return &dbctl.Command{
		Name: name, Args: "NAME", Min: 1, Max: 1, Options: []dbctl.Option{ifExists},
		Short: "Remove a " + n.noun,
		Long:  name + " removes the " + n.noun + " of this name.",
		Read:  n.read,
		Run: func(t *dbctl.Txn, c *dbctl.Call) error {
			table, err := n.in(t.Schema())
			if err != nil {
				return err
			}
			row := n.find(t, table, c.Args[0])
			switch {
			case row != nil:
				t.Destroy(row)
			case !c.Has(ifExists.Name):
				return fmt.Errorf("there is no %s %.200q", n.noun, c.Args[0])
			}
			return nil
		},
	}
}

// list is a command that prints a line for each row.
func (n named) list(command, short, long string, headings []string, line func(*dbctl.Row, *dbctl.Table) []string) *dbctl.Command {
	return &dbctl.Command{
		Name: command, Short: short, Long: command + " " + long, Read: n.read,
		Run: func(t *dbctl.Txn, c *dbctl.Call) error {
			table, err := n.in(t.Schema())
			if err != nil {
				return err
			}
			c.Table = &dbctl.Listing{Layout: dbctl.Columns, Style: dbctl.Bare}
			for _, heading := range headings {
				c.Table.Columns = append(c.Table.Columns, &dbctl.Column{Name: heading, Type: cellType(table, heading)})
			}
			rows := t.Rows(table)
			if table.Columns["priority"] != nil {
				slices.SortStableFunc(rows, func(a, b *dbctl.Row) int { return number(b, table, "priority") - number(a, table, "priority") })
			}
			for _, row := range rows {
				var cells []dbctl.Datum
				for i, cell := range line(row, table) {
					if cells = append(cells, dbctl.SetOf(clean(cell))); c.Table.Columns[i].Type.Key.Kind == dbctl.Integers {
						cells[i] = row.Get(table.Columns[headings[i]])
					}
				}
				c.Table.Rows = append(c.Table.Rows, cells)
			}
			return nil
		},
	}
}

// cellType is that of what a listing has under a heading: an integer where that is a column of integers, else text.
func cellType(table *dbctl.Table, heading string) dbctl.Type {
	if c := table.Columns[heading]; c != nil && c.Type.Key.Kind == dbctl.Integers {
		return c.Type
	}
	return dbctl.Type{Key: dbctl.Base{Kind: dbctl.Strings}, Min: 1, Max: 1}
}

// text is a column as a person reads it; "" where it is empty or missing.
func text(row *dbctl.Row, table *dbctl.Table, column string) string {
	c := table.Columns[column]
	if c == nil {
		return ""
	}
	return dbctl.Bare.Datum(c.Type, row.Get(c))
}

// number is a column of one integer; 0 where it is empty.
func number(row *dbctl.Row, table *dbctl.Table, column string) int {
	var n int
	load(row, table, column, &n)
	return n
}

// enabled is "yes" or "no".
func enabled(row *dbctl.Row, table *dbctl.Table) string {
	if text(row, table, "enabled") == "false" {
		return "no"
	}
	return "yes"
}
