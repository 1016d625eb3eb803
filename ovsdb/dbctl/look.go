package dbctl

import (
	"errors"
	"fmt"
	"strings"
)

func listCommand() *Command {
	return &Command{
		Name: "list", Args: "TABLE [RECORD]...", Min: 1, Max: -1, Options: []Option{ifExists, ofColumns},
		Short:   "Print records of a table",
		Long:    "list prints the records that are named, or all of the table.",
		Example: "flowshuntctl list Bridge br0\nflowshuntctl --format=csv --columns=name,tag list Port",
		Read:    readListing,
		Run: func(t *Txn, c *Call) error {
			table, err := c.list(t)
			if err != nil {
				return err
			}
			if len(c.Args) == 1 {
				for _, row := range t.Rows(table) {
					c.Table.add(row)
				}
			}
			for _, record := range c.Args[1:] {
				row, err := t.lookup(table, record)
				switch {
				case err != nil:
					return err
				case row != nil:
					c.Table.add(row)
				case !c.Has("if-exists"):
					return noRow(record, table)
				}
			}
			return nil
		},
	}
}

func noRow(record string, table *Table) error {
	return fmt.Errorf("no row %.200q in table %s", record, table.Name)
}

const conditionHelp = "  = != < > <= >=     by the number of values, then by the values in their order\n" +
	"  {=} {!=}           the same set, another set\n" +
	"  {<=} {<} {in}      a subset of VALUE; not all of it; {in} is {<=}\n" +
	"  {>=} {>}           a superset of VALUE; with more in it\n" +
	"  {not-in}           nothing in common with VALUE\n\n" +
	"With :KEY the value of this key of a map is meant. Where the key is missing, the first group never holds, and for the\n" +
	"others it is the empty set."

func findCommand() *Command {
	return &Command{
		Name: "find", Args: "TABLE [COLUMN[:KEY]=VALUE]...", Min: 1, Max: -1, Options: []Option{ofColumns},
		Short:   "Print the records of a table that are as conditions say",
		Long:    "find prints the records for which all conditions hold. In the place of = can stand:\n\n" + conditionHelp,
		Example: "flowshuntctl find Port tag=10\nflowshuntctl --columns=name find Bridge 'other_config:mtu{!=}1500'",
		Read: func(r *Reading, c *Call) error {
			if err := readTerms(r, c, 1); err != nil {
				return err
			}
			return readListing(r, c)
		},
		Run: func(t *Txn, c *Call) error {
			table, err := c.list(t)
			if err != nil {
				return err
			}
			for _, row := range t.Rows(table) {
				ok, _, err := c.satisfies(t, row, 1)
				if err != nil {
					return err
				}
				if ok {
					c.Table.add(row)
				}
			}
			return nil
		},
	}
}

func readListing(r *Reading, c *Call) error {
	table, err := c.table(r.schema)
	if err != nil {
		return err
	}
	columns, err := c.columns(table)
	r.Columns(table, columns...)
	r.Named(table) // the order of rows is that of names
	return err
}

// list begins the output of a listing.
func (c *Call) list(t *Txn) (*Table, error) {
	table, err := c.table(t.schema)
	if err != nil {
		return nil, err
	}
	columns, err := c.columns(table)
	c.Table = &Listing{Columns: columns}
	return table, err
}

// columns are those of --columns.
func (c *Call) columns(t *Table) ([]*Column, error) {
	if !c.Has("columns") {
		return append([]*Column{uuidColumn}, t.columns()...), nil
	}
	var list []*Column
	for _, name := range strings.FieldsFunc(c.Options["columns"], func(r rune) bool { return r == ',' || r == ' ' }) {
		column, err := t.shown(name)
		if err != nil {
			return nil, err
		}
		list = append(list, column)
	}
	if list == nil {
		return nil, errors.New("--columns names no column")
	}
	return list, nil
}

func (l *Listing) add(row *Row) {
	var cells []Datum
	for _, c := range l.Columns {
		cells = append(cells, row.Get(c))
	}
	l.Rows = append(l.Rows, cells)
}

func getCommand() *Command {
	return &Command{
		Name: "get", Args: "TABLE RECORD [COLUMN[:KEY]]...", Min: 2, Max: -1,
		Options: []Option{ifExists, {Name: "id", Value: "@NAME", Help: "let @NAME stand for the record in what follows"}},
		Short:   "Print values of a record",
		Long:    "get prints the value of each column, or of one key of a map, on a line of its own.",
		Example: "flowshuntctl get Open_vSwitch . external_ids:system-id\n" +
			"flowshuntctl -- --id=@p get Port eth0 -- set Mirror m0 select_src_port=@p",
		Read: func(r *Reading, c *Call) error {
			if c.Has("if-exists") && c.Has("id") {
				return errors.New("get: --if-exists and --id do not go together")
			}
			table, columns, err := c.termColumns(r.schema, 2, (*Table).shown)
			if err != nil {
				return err
			}
			r.Columns(table, columns...)
			return readRow(r, c)
		},
		Run: runGet,
	}
}

func runGet(t *Txn, c *Call) error {
	table, row, err := c.target(t)
	if err != nil || row == nil {
		return err
	}
	id, err := c.id()
	if err != nil {
		return err
	}
	if c.Has("id") {
		if err := t.Define(id, row); err != nil {
			return err
		}
	}
	row.Verify()
	terms, err := c.parseTerms(2, nil)
	if err != nil {
		return err
	}
	for _, term := range terms {
		column, err := table.shown(term.column)
		if err != nil {
			return err
		}
		row.Verify(column)
		text, err := c.text(row, column, term, t.reference)
		if err != nil {
			return err
		}
		c.Output.WriteString(text + "\n")
	}
	return nil
}

// text is the value of a column, or of a key in it.
func (c *Call) text(row *Row, column *Column, t term, names symbols) (string, error) {
	if !t.hasKey {
		return Plain.Datum(column.Type, row.Get(column)), nil
	}
	key, err := t.element(column, names)
	if err != nil {
		return "", err
	}
	value, ok := row.Get(column).Get(key)
	if !ok && !c.Has("if-exists") {
		return "", fmt.Errorf("no key %.200q in column %s of row %.200q in table %s", t.key, column.Name, c.Args[1], row.table.Name)
	}
	return Plain.atom(value), nil
}
