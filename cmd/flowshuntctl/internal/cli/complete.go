package cli

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
)

// completeTime is how long a person who presses tab may have to wait.
const completeTime = time.Second

// maxProposed bounds the records that are proposed.
const maxProposed = 1000

// complete proposes the next argument of a database command: tables and columns of the
// schema, and the names of records. Where nothing can be known in a moment it says nothing.
func (a *app) complete(c *dbctl.Command) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTime)
		defer cancel()
		what, table := nextArgument(c, args)
		if what == "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		db, err := client.Dial(ctx, client.Config{Remotes: a.batch.remotes, Database: a.batch.database, TLS: a.batch.tls})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer db.Close()
		list := (&proposer{ctx, db, a.batch.database}).propose(what, table)
		slices.Sort(list)
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// The kinds of arguments that can be proposed.
const (
	aTable  = "TABLE"
	aRecord = "RECORD"
	aColumn = "COLUMN"
)

// nextArgument tells of which kind the argument is that comes after args, and of which table.
// Where a pattern ends with ..., its last word comes again and again.
func nextArgument(c *dbctl.Command, args []string) (what, table string) {
	words := strings.Fields(strings.NewReplacer("[", " ", "]", " ", "...", "", "|", " ", ":KEY", "", "=VALUE", "").Replace(c.Args))
	if len(words) == 0 {
		return "", ""
	}
	word := words[min(len(args), len(words)-1)]
	switch {
	case word == aTable:
		return aTable, ""
	case len(args) > 0 && words[0] == aTable && (word == aRecord || strings.HasPrefix(word, aColumn)):
		return word, args[0]
	case len(args) == 0 && word == "NAME" && strings.HasPrefix(c.Name, "del-"):
		return aRecord, map[string]string{"del-policy": "Offload_Policy", "del-profile": "Decryption_Profile", "del-wire": "Wire"}[c.Name]
	}
	return "", ""
}

type proposer struct {
	ctx      context.Context
	db       *client.Conn
	database string
}

func (p *proposer) propose(what, table string) (list []string) {
	raw, err := p.db.Schema(p.ctx)
	if err != nil {
		return nil
	}
	var schema dbctl.Schema
	if json.Unmarshal(raw, &schema) != nil {
		return nil
	}
	if what == aTable {
		return slices.Collect(maps.Keys(schema.Tables))
	}
	t, err := schema.Table(table)
	if err != nil {
		return nil
	}
	if what == aRecord {
		return p.records(t)
	}
	return slices.Collect(maps.Keys(t.Columns))
}

// records returns the names of the rows of a table that has some.
func (p *proposer) records(t *dbctl.Table) (list []string) {
	column := "name"
	for _, n := range dbctl.NamesOf(p.database)[t.Name] {
		if n.Table == "" && t.Columns[n.Column] != nil {
			column = n.Column
			break
		}
	}
	if t.Columns[column] == nil {
		return nil
	}
	answers, err := p.db.Transact(p.ctx, map[string]any{"op": "select", "table": t.Name, "where": []any{}, "columns": []string{column}})
	if err != nil || len(answers) != 1 {
		return nil
	}
	var found struct {
		Rows []map[string]json.RawMessage `json:"rows"`
	}
	if json.Unmarshal(answers[0], &found) != nil {
		return nil
	}
	for _, row := range found.Rows {
		var name string
		if json.Unmarshal(row[column], &name) == nil && name != "" && clean(name) == name && len(list) < maxProposed {
			list = append(list, name)
		}
	}
	return list
}
