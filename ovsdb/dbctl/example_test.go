package dbctl_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
)

// shelf is a database of one table.
type shelf struct{}

func (shelf) Schema(context.Context) (json.RawMessage, error) {
	return json.RawMessage(`{"name":"Shelf","tables":{"Book":{"isRoot":true,"columns":{"name":{"type":"string"},
		"pages":{"type":"integer"},"tags":{"type":{"key":"string","min":0,"max":"unlimited"}}}}}}`), nil
}

func (shelf) Transact(_ context.Context, operations ...any) ([]json.RawMessage, error) {
	data, err := json.Marshal(operations[0])
	fmt.Println(string(data))
	return []json.RawMessage{json.RawMessage(`{"rows":[]}`)}, err
}

func (shelf) Watch(context.Context, map[string][]string) error { return errors.New("not here") }
func (shelf) Changed(context.Context) error                    { return errors.New("not here") }

// A command that knows what a database is about stands beside the generic ones.
func ExampleCommand() {
	book := func(s *dbctl.Schema) *dbctl.Table { return s.Tables["Book"] }
	addBook := &dbctl.Command{
		Name: "add-book", Args: "NAME [COLUMN[:KEY]=VALUE]...", Min: 1, Max: -1,
		Options: []dbctl.Option{{Name: "may-exist"}},
		Read: func(r *dbctl.Reading, _ *dbctl.Call) error {
			r.Named(book(r.Schema()))
			return nil
		},
		Run: func(t *dbctl.Txn, c *dbctl.Call) error {
			table := book(t.Schema())
			row, err := t.Lookup(table, c.Args[0])
			switch {
			case err != nil:
				return err
			case row != nil && c.Has("may-exist"):
				return nil
			case row != nil:
				return fmt.Errorf("there is a book %s", c.Args[0])
			}
			if row, err = t.Create(table, ""); err != nil {
				return err
			}
			t.Set(row, table.Columns["name"], dbctl.SetOf(c.Args[0]))
			t.Set(row, table.Columns["tags"], dbctl.SetOf("new", "unread"))
			return c.Assign(t, row, 1)
		},
		Done: func(_ *dbctl.Txn, c *dbctl.Call) { fmt.Fprintf(&c.Output, "added %s\n", c.Args[0]) },
	}
	line, err := dbctl.ParseLine([]string{"--may-exist", "add-book", "Emma", "pages=474"}, nil, append(dbctl.Generic(), addBook))
	if err == nil {
		err = dbctl.Run(context.Background(), shelf{}, line.Calls, dbctl.Config{})
	}
	if err == nil {
		err = dbctl.Print(os.Stdout, line.Calls, dbctl.Format{})
	}
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"columns":["_uuid","name"],"op":"select","table":"Book","where":[]}
	// {"op":"insert","row":{"name":"Emma","pages":474,"tags":["set",["new","unread"]]},"table":"Book","uuid-name":"row0"}
	// added Emma
}
