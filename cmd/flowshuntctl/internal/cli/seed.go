package cli

import (
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
)

// The values of init --policies.
const (
	policiesShipped = "shipped"
	policiesNone    = "none"
)

// seed is what a new database begins with. That it is new is told by the row of table Flowshunt: policies
// that an operator has removed do not come back.
type seed struct {
	policies string // "", shipped or none
	added    int    // policies
}

func (s *seed) command() *dbctl.Command {
	root := named{table: "Flowshunt"}
	return &dbctl.Command{
		Name: initName,
		Read: func(r *dbctl.Reading, c *dbctl.Call) error {
			table, err := root.in(r.Schema())
			if err != nil {
				return err
			}
			r.Columns(table, slices.Collect(maps.Values(table.Columns))...)
			return policies.read(r, c)
		},
		Run: func(t *dbctl.Txn, _ *dbctl.Call) error {
			table, err := root.in(t.Schema())
			if err != nil {
				return err
			}
			in, err := policies.in(t.Schema())
			if err != nil {
				return err
			}
			fresh := len(t.Rows(table)) == 0
			if fresh {
				t.VerifyEmpty(table)
				if _, err := t.Create(table, ""); err != nil {
					return err
				}
			}
			s.added = 0
			if s.policies == policiesNone || len(t.Rows(in)) > 0 || s.policies == "" && !fresh {
				return nil
			}
			return s.ship(t)
		},
	}
}

func (s *seed) ship(t *dbctl.Txn) error {
	in, err := policies.in(t.Schema())
	if err != nil {
		return err
	}
	t.VerifyEmpty(in)
	for _, c := range shippedCalls() {
		if err := c.Command.Run(t, c); err != nil {
			return err
		}
		s.added++
	}
	return nil
}
