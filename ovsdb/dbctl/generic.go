package dbctl

import (
	"errors"
	"fmt"
	"strings"
)

// Generic returns the commands that work on every database.
func Generic() []*Command {
	return []*Command{listCommand(), findCommand(), getCommand(), setCommand(), addCommand(), removeCommand(), clearCommand(),
		createCommand(), destroyCommand(), waitUntilCommand(), commentCommand()}
}

var (
	ifExists  = Option{Name: "if-exists", Help: "do nothing about a record that does not exist"}
	ofColumns = Option{Name: "columns", Value: "COLUMN,...", Help: "columns to print, in this order (default all, in alphabetical order)"}
)

// table finds the table that a call is about: its first argument.
func (c *Call) table(s *Schema) (*Table, error) { return s.Table(c.Args[0]) }

// readRow asks for what it takes to find the record of a call.
func readRow(r *Reading, c *Call) error {
	table, err := c.table(r.schema)
	if err == nil {
		r.Named(table)
	}
	return err
}

// readRowAndTerms asks for that, and for the columns that the arguments behind the record are about.
func readRowAndTerms(r *Reading, c *Call) error {
	if err := readRow(r, c); err != nil {
		return err
	}
	return readTerms(r, c, 2)
}

// target finds the record of a call: its second argument. It is nil if it need not be there.
func (c *Call) target(t *Txn) (*Table, *Row, error) {
	table, err := c.table(t.schema)
	if err != nil {
		return nil, nil, err
	}
	if c.Has("if-exists") {
		row, err := t.Lookup(table, c.Args[1])
		return table, row, err
	}
	row, err := t.Row(table, c.Args[1])
	return table, row, err
}

// parseTerms reads the arguments of a call from the n-th on.
func (c *Call) parseTerms(n int, ops []string) ([]term, error) {
	var list []term
	for _, arg := range c.Args[n:] {
		t, err := parseTerm(arg, ops)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// termColumns returns the columns that the arguments from the n-th on are about. What else is in the
// arguments matters only where there is a row for it.
func (c *Call) termColumns(s *Schema, n int, find func(*Table, string) (*Column, error)) (*Table, []*Column, error) {
	table, err := c.table(s)
	if err != nil {
		return nil, nil, err
	}
	var list []*Column
	for _, arg := range c.Args[n:] {
		name, err := (&scanner{text: arg}).column()
		if err != nil {
			return nil, nil, err
		}
		column, err := find(table, name)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, column)
	}
	return table, list, nil
}

// readTerms asks for those columns.
func readTerms(r *Reading, c *Call, n int) error {
	table, columns, err := c.termColumns(r.schema, n, (*Table).Column)
	if err != nil {
		return err
	}
	r.Columns(table, columns...)
	return nil
}

// satisfies reports whether a row is as all conditions of a call say, from its n-th argument
// on, and which columns that depends on.
func (c *Call) satisfies(t *Txn, row *Row, n int) (ok bool, columns []*Column, err error) {
	terms, err := c.parseTerms(n, operators)
	if err != nil {
		return false, nil, err
	}
	for _, condition := range terms {
		column, err := row.table.Column(condition.column)
		if err != nil {
			return false, nil, err
		}
		columns = append(columns, column)
		holds, err := condition.holds(column, row.Get(column), t.reference)
		if err != nil || !holds {
			return false, nil, err
		}
	}
	return true, columns, nil
}

// ErrWait is that a command has to wait for a change of the database.
var ErrWait = errors.New("what is waited for is not so yet")

func waitUntilCommand() *Command {
	return &Command{
		Name: "wait-until", Args: "TABLE RECORD [COLUMN[:KEY]=VALUE]...", Min: 2, Max: -1,
		Short: "Wait until a record exists and is as conditions say",
		Long: "wait-until waits for as long as --timeout allows until the record exists and all conditions hold; for\n" +
			"these see find. Commands that stand before it see the database as they do when it ends, so it is best the first of a batch.",
		Example: "flowshuntctl --timeout=30 wait-until Bridge br0 -- get Bridge br0 datapath_id",
		Read:    readRowAndTerms,
		Run: func(t *Txn, c *Call) error {
			table, err := c.table(t.schema)
			if err != nil {
				return err
			}
			row, err := t.Lookup(table, c.Args[1])
			switch {
			case err != nil:
				return err
			case row == nil:
				return ErrWait
			}
			ok, columns, err := c.satisfies(t, row, 2)
			if err == nil && !ok {
				return ErrWait
			}
			row.Verify(columns...)
			return err
		},
	}
}

func commentCommand() *Command {
	return &Command{
		Name: "comment", Args: "[ARG]...", Max: -1,
		Short: "Note something in the database's log",
		Long: "comment changes nothing. If other commands of the batch do, the database's log has the whole command line with\n" +
			"this change, as ovsdb-tool show-log tells, so also what is said here.",
		Example: "flowshuntctl comment ticket 4711 -- set Bridge br0 fail_mode=secure",
		Read:    func(*Reading, *Call) error { return nil },
		Run:     func(*Txn, *Call) error { return nil }, // Run notes the words of all calls
	}
}

// id returns the symbol of --id.
func (c *Call) id() (string, error) {
	id, given := c.Options["id"]
	name, ok := strings.CutPrefix(id, "@")
	if given && !ok {
		return "", fmt.Errorf("--id=%.64s: want @NAME", id)
	}
	return name, nil
}
