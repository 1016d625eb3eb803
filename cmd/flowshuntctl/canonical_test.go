package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var anyUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// rename replaces uuids that are not of base.json by the number of their first occurrence.
func (s *side) rename(text string) string {
	var pairs []string
	seen := map[string]bool{}
	for _, uuid := range anyUUID.FindAllString(text, -1) {
		if !s.base[uuid] && !seen[uuid] {
			seen[uuid] = true
			pairs = append(pairs, uuid, fmt.Sprintf("<uuid %d>", len(seen)), uuid[:8], fmt.Sprintf("<short uuid %d>", len(seen)))
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// contents returns the rows of all tables, in a form that does not depend on uuids that are not of
// base.json: these are replaced by what there is in their rows.
func (s *side) contents(t *testing.T) []string {
	t.Helper()
	var ops []any
	for _, table := range s.tables {
		ops = append(ops, map[string]any{"op": "select", "table": table.name, "where": []any{}, "columns": table.columns})
	}
	results, err := s.db.Transact(t.Context(), ops...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(results, s.results, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) { // most lines change nothing
		s.results, s.rows = results, s.canonical(t, results)
	}
	return s.rows
}

func (s *side) canonical(t *testing.T, results []json.RawMessage) []string {
	t.Helper()
	rows := map[string]any{}
	for i, data := range results {
		var result struct{ Rows []map[string]any }
		if err := json.Unmarshal(data, &result); err != nil {
			t.Fatal(err)
		}
		for _, row := range result.Rows {
			uuid, _ := row["_uuid"].([]any)
			delete(row, "_uuid")
			rows[fmt.Sprint(uuid[1])] = []any{s.tables[i].name, row}
		}
	}
	labels := map[string]string{}
	for range 4 { // the longest chain of references between new rows
		next := map[string]string{}
		for uuid, row := range rows {
			if next[uuid] = uuid; !s.base[uuid] {
				next[uuid] = fmt.Sprintf("%x", sha256.Sum256([]byte(labelled(row, labels))))[:8]
			}
		}
		labels = next
	}
	var list []string
	for _, uuid := range slices.Sorted(maps.Keys(rows)) {
		list = append(list, labels[uuid]+" "+labelled(rows[uuid], labels))
	}
	slices.Sort(list)
	return list
}

// labelled writes a value with labels in the place of uuids, sets and maps sorted.
func labelled(value any, labels map[string]string) string {
	switch v := value.(type) {
	case map[string]any:
		var members []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			members = append(members, name+"="+labelled(v[name], labels))
		}
		return strings.Join(members, " ")
	case []any:
		if len(v) == 2 && v[0] == "uuid" {
			return "@" + labels[fmt.Sprint(v[1])]
		}
		var elements []string
		for _, e := range v {
			elements = append(elements, labelled(e, labels))
		}
		if len(v) == 0 || v[0] != "set" && v[0] != "map" {
			slices.Sort(elements)
		}
		return "[" + strings.Join(elements, " ") + "]"
	}
	data, _ := json.Marshal(value)
	return string(data)
}
