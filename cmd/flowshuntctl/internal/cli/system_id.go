package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
)

// systemID is the name that this node has in Open vSwitch, and its agent in table Node.
func (a *app) systemID(ctx context.Context) (string, error) {
	remotes := a.batch.remotes
	if !strings.HasPrefix(remotes, "unix:") { // the policies are elsewhere
		remotes = defaultRemotes()
	}
	ctx, cancel := context.WithTimeout(ctx, agentPatience)
	defer cancel()
	db, err := client.Dial(ctx, client.Config{Remotes: remotes, Database: "Open_vSwitch"})
	if err != nil {
		return "", err
	}
	defer db.Close()
	var id string
	err = dbctl.Run(ctx, db, []*dbctl.Call{{Command: readSystemID(&id)}}, dbctl.Config{})
	if err == nil && id == "" {
		err = errors.New("external_ids of Open_vSwitch has no system-id")
	}
	return id, err
}

func readSystemID(id *string) *dbctl.Command {
	const table, column = "Open_vSwitch", "external_ids"
	return &dbctl.Command{
		Name: "system-id",
		Read: func(r *dbctl.Reading, _ *dbctl.Call) error {
			t := r.Schema().Tables[table]
			if t == nil || t.Columns[column] == nil {
				return errors.New("Open_vSwitch has no external_ids")
			}
			r.Columns(t, t.Columns[column])
			return nil
		},
		Run: func(t *dbctl.Txn, _ *dbctl.Call) error {
			in := t.Schema().Tables[table]
			for _, row := range t.Rows(in) {
				value, _ := row.Get(in.Columns[column]).Get("system-id")
				*id, _ = value.(string)
			}
			return nil
		},
	}
}
