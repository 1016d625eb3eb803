package cli

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
)

// assign sets columns of a new row: each of words is COLUMN=VALUE, as for create, but that strings need no quotation marks.
func assign(t *dbctl.Txn, table *dbctl.Table, row *dbctl.Row, words []string) error {
	for _, word := range words {
		one := &dbctl.Call{Args: []string{quoted(table, word)}}
		if err := one.Assign(t, row, 0); err != nil {
			return fmt.Errorf("%.200s: %w", word, err)
		}
	}
	return nil
}

// quoted puts the strings of a set in quotation marks, so that 2001:db8::/32 is one value, unless something
// is in marks or brackets already.
func quoted(table *dbctl.Table, word string) string {
	name, value, ok := strings.Cut(word, "=")
	if !ok || value == "" || strings.ContainsAny(value, "\"[\\") || strings.ContainsAny(name, ":{") {
		return word
	}
	column, err := table.Column(name)
	if err != nil || column.Type.IsMap() || column.Type.Key.Kind != dbctl.Strings {
		return word
	}
	values := strings.Split(value, ",")
	for i, v := range values {
		if values[i] = strings.TrimSpace(v); values[i] == "" {
			return word // the parser says what is wrong with it
		}
		values[i] = `"` + values[i] + `"`
	}
	return name + "=" + strings.Join(values, ",")
}
