package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
)

// rehearse converts a copy of the database in a file, and returns an error if rows would be lost: where
// they break an index of the new schema, ovsdb-tool (of Open vSwitch 3.1) leaves an empty database and
// reports no error.
func rehearse(ctx context.Context, path, schema string) error {
	text, err := os.ReadFile(schema)
	if err != nil {
		return err
	}
	var next dbctl.Schema
	if err := json.Unmarshal(text, &next); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// Beside it, since a database may not fit where temporary files go, and is nobody else's to read.
	dir, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	converted := filepath.Join(dir, "copy.db")
	if err := os.WriteFile(converted, data, 0o600); err != nil {
		return err
	}
	if _, err := tool(ctx, "ovsdb-tool", "convert", converted, schema); err != nil {
		return err
	}
	for _, table := range slices.Sorted(maps.Keys(next.Tables)) {
		if !next.Tables[table].Root { // else its rows come and go with references to them
			continue
		}
		before, err := count(ctx, path, next.Name, table)
		if err != nil {
			return err
		}
		after, err := count(ctx, converted, next.Name, table)
		if err != nil {
			return err
		}
		if after != before {
			return fmt.Errorf("of %d rows of table %s %d would be left: are some alike in the columns of an index of the new schema?",
				before, table, after)
		}
	}
	return nil
}

// count returns how many rows a table has in a file; none if there is no such table.
func count(ctx context.Context, path, database, table string) (int, error) {
	query, err := json.Marshal([]any{database, map[string]any{"op": "select", "table": table, "where": []any{}, "columns": []string{"_uuid"}}})
	if err != nil {
		return 0, err
	}
	reply, err := tool(ctx, "ovsdb-tool", "query", path, string(query))
	if err != nil {
		return 0, err
	}
	var results []struct{ Rows []json.RawMessage }
	if err := json.Unmarshal([]byte(reply), &results); err != nil {
		return 0, fmt.Errorf("ovsdb-tool query: %w", err)
	}
	if len(results) != 1 {
		return 0, fmt.Errorf("ovsdb-tool query: %d results", len(results))
	}
	return len(results[0].Rows), nil
}
