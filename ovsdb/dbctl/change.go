package dbctl

import "fmt"

func setCommand() *Command {
	return &Command{
		Name: "set", Args: "TABLE RECORD COLUMN[:KEY]=VALUE...", Min: 3, Max: -1, Options: []Option{ifExists},
		Short:   "Set columns of a record",
		Long:    "set gives columns new values. With :KEY this key of a map is set, and the others stay.",
		Example: "flowshuntctl set Port eth0 tag=10 other_config:priority-tags=always",
		Read:    readRowAndTerms,
		Run: func(t *Txn, c *Call) error {
			_, row, err := c.target(t)
			if err != nil || row == nil {
				return err
			}
			return c.Assign(t, row, 2)
		},
	}
}

// Assign sets columns of a row as the arguments of a call from the n-th on say, each
// COLUMN[:KEY]=VALUE. Those of a row that is not new must have been asked for.
func (c *Call) Assign(t *Txn, row *Row, n int) error {
	terms, err := c.parseTerms(n, assigns)
	if err != nil {
		return err
	}
	for _, term := range terms {
		column, err := row.table.written(term.column, row)
		if err != nil {
			return err
		}
		value, err := term.assigned(column, t.reference)
		switch {
		case err != nil:
			return err
		case term.hasKey:
			t.Put(row, column, value)
		default:
			t.Set(row, column, value)
		}
	}
	return nil
}

// readColumn is for commands about one column: the third argument.
func readColumn(r *Reading, c *Call) error { return readColumns(r, c, c.Args[2:3]) }

func readColumns(r *Reading, c *Call, names []string) error {
	table, err := c.table(r.schema)
	if err != nil {
		return err
	}
	for _, name := range names {
		column, err := table.Column(name)
		if err != nil {
			return err
		}
		r.Columns(table, column)
	}
	return readRow(r, c)
}

func addCommand() *Command {
	return &Command{
		Name: "add", Args: "TABLE RECORD COLUMN [KEY=]VALUE...", Min: 4, Max: -1, Options: []Option{ifExists},
		Short:   "Add values to a column of a record",
		Long:    "add adds values to a set, or pairs to a map. A key that is there already keeps its value.",
		Example: "flowshuntctl add Bridge br0 flood_vlans 10 20",
		Read:    readColumn,
		Run: func(t *Txn, c *Call) error {
			return c.edit(t, func(row *Row, column *Column, some Type, arg string) error {
				elements, err := parseDatum(some, arg, t.reference)
				if err != nil {
					return err
				}
				return t.Add(row, column, elements)
			})
		},
	}
}

func removeCommand() *Command {
	return &Command{
		Name: "remove", Args: "TABLE RECORD COLUMN VALUE|KEY|KEY=VALUE...", Min: 4, Max: -1, Options: []Option{ifExists},
		Short:   "Remove values from a column of a record",
		Long:    "remove removes values from a set, or keys from a map; KEY=VALUE only where KEY has that value. What is not there is no error.",
		Example: "flowshuntctl remove Bridge br0 other_config mtu",
		Read:    readColumn,
		Run: func(t *Txn, c *Call) error {
			return c.edit(t, func(row *Row, column *Column, some Type, arg string) error {
				elements, err := parseDatum(some, arg, t.reference)
				if err != nil && some.IsMap() {
					some.Value = Base{}
					elements, err = parseDatum(some, arg, t.reference)
				}
				if err != nil {
					return err
				}
				return t.Remove(row, column, elements)
			})
		},
	}
}

// edit calls do with each argument behind the name of a column, and with the type of some
// elements of it.
func (c *Call) edit(t *Txn, do func(row *Row, column *Column, some Type, arg string) error) error {
	table, row, err := c.target(t)
	if err != nil || row == nil {
		return err
	}
	column, err := table.written(c.Args[2], row)
	if err != nil {
		return err
	}
	some := column.Type
	some.Min, some.Max = 1, Unlimited
	for _, arg := range c.Args[3:] {
		if err := do(row, column, some, arg); err != nil {
			return err
		}
	}
	return nil
}

func clearCommand() *Command {
	return &Command{
		Name: "clear", Args: "TABLE RECORD COLUMN...", Min: 3, Max: -1, Options: []Option{ifExists},
		Short:   "Empty columns of a record",
		Long:    "clear makes columns the empty set or map, where they may be that.",
		Example: "flowshuntctl clear Port eth0 tag trunks",
		Read:    func(r *Reading, c *Call) error { return readColumns(r, c, c.Args[2:]) },
		Run: func(t *Txn, c *Call) error {
			table, row, err := c.target(t)
			if err != nil || row == nil {
				return err
			}
			for _, name := range c.Args[2:] {
				column, err := table.written(name, row)
				switch {
				case err != nil:
					return err
				case column.Type.Min > 0:
					return fmt.Errorf("column %s of table %s cannot be empty", column.Name, table.Name)
				}
				t.Set(row, column, Datum{})
			}
			return nil
		},
	}
}
