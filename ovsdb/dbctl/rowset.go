package dbctl

import "errors"

func createCommand() *Command {
	return &Command{
		Name: "create", Args: "TABLE COLUMN[:KEY]=VALUE...", Min: 2, Max: -1,
		Options: []Option{{Name: "id", Value: "@NAME", Help: "let @NAME stand for the record in the whole batch"}},
		Short:   "Add a record to a table",
		Long: "create adds a record and prints its uuid. In most tables a record is kept only while another one refers to it:\n" +
			"--id gives the name for such a reference in other commands of the batch.",
		Example: "flowshuntctl -- --id=@q create Queue dscp=10 -- create QoS type=linux-htb queues:0=@q",
		Read: func(r *Reading, c *Call) error {
			_, _, err := c.termColumns(r.schema, 1, (*Table).Column)
			return err
		},
		Run: func(t *Txn, c *Call) error {
			table, err := c.table(t.schema)
			if err != nil {
				return err
			}
			id, err := c.id()
			if err != nil {
				return err
			}
			row, err := t.Create(table, id)
			if err != nil {
				return err
			}
			c.State = row
			return c.Assign(t, row, 1)
		},
		Done: func(t *Txn, c *Call) { c.Output.WriteString(string(t.Created(c.State.(*Row))) + "\n") },
	}
}

func destroyCommand() *Command {
	return &Command{
		Name: "destroy", Args: "TABLE [RECORD]...", Min: 1, Max: -1,
		Options: []Option{ifExists, {Name: "all", Help: "destroy all records of the table"}},
		Short:   "Remove records from a table",
		Long: "destroy removes records. In most tables records go by themselves with the last reference to them, and\n" +
			"stay until then: there destroy does nothing.",
		Example: "flowshuntctl destroy QoS eth0 -- clear Port eth0 qos\nflowshuntctl -- --all destroy Queue",
		Read: func(r *Reading, c *Call) error {
			switch {
			case c.Has("all") && len(c.Args) > 1:
				return errors.New("destroy: --all and records do not go together")
			case c.Has("all") && c.Has("if-exists"):
				return errors.New("destroy: --all and --if-exists do not go together")
			}
			return readRow(r, c)
		},
		Run: func(t *Txn, c *Call) error {
			table, err := c.table(t.schema)
			if err != nil {
				return err
			}
			if c.Has("all") {
				for _, row := range t.Rows(table) {
					t.Destroy(row)
				}
			}
			for _, record := range c.Args[1:] {
				row, err := t.Lookup(table, record)
				switch {
				case err != nil:
					return err
				case row != nil:
					t.Destroy(row)
				case !c.Has("if-exists"):
					return noRow(record, table)
				}
			}
			return nil
		},
	}
}
