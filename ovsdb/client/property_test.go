package client

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// everything has a column of each kind that changes can be told of.
type everything struct {
	UUID    string            `ovsdb:"_uuid"`
	Text    string            `ovsdb:"text"`
	Number  int               `ovsdb:"number"`
	Real    float64           `ovsdb:"real"`
	Flag    bool              `ovsdb:"flag"`
	MayText *string           `ovsdb:"may_text"`
	MayFlag *bool             `ovsdb:"may_flag"`
	Texts   []string          `ovsdb:"texts"`
	Numbers []int             `ovsdb:"numbers"`
	Three   []int             `ovsdb:"three"` // one to three
	Refs    []string          `ovsdb:"refs"`
	Pairs   map[string]string `ovsdb:"pairs"`
	Counts  map[string]int    `ovsdb:"counts"`
	OnePair map[string]string `ovsdb:"one_pair"` // one at most: told whole
	Alone   []string          `ovsdb:"alone"`    // one at most, in a slice: told whole
}

const everySchema = `{"name":"Every","version":"1.0.0","tables":{"T":{"isRoot":true,"columns":{
	"text":{"type":"string"}, "number":{"type":"integer"}, "real":{"type":"real"}, "flag":{"type":"boolean"},
	"may_text":{"type":{"key":"string","min":0,"max":1}}, "may_flag":{"type":{"key":"boolean","min":0}},
	"texts":{"type":{"key":"string","min":0,"max":"unlimited"}}, "numbers":{"type":{"key":"integer","min":0,"max":"unlimited"}},
	"three":{"type":{"key":"integer","min":1,"max":3}},
	"refs":{"type":{"key":{"type":"uuid","refTable":"T","refType":"weak"},"min":0,"max":"unlimited"}},
	"pairs":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
	"counts":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}},
	"one_pair":{"type":{"key":"string","value":"string","min":0,"max":1}},
	"alone":{"type":{"key":"string","min":0,"max":1}}}}}}`

// everyServer starts a server of such a database.
func everyServer(t testing.TB) *ovsdbtest.Server {
	t.Helper()
	schema := filepath.Join(ovsdbtest.TempDir(t), "every.ovsschema")
	if err := os.WriteFile(schema, []byte(everySchema), 0o600); err != nil {
		t.Fatal(err)
	}
	return ovsdbtest.Start(t, schema)
}

func every(endpoint string) Config {
	cfg := bridges(endpoint)
	cfg.Database, cfg.Tables = "Every", []Table{{Name: "T", Row: (*everything)(nil), Needed: true, NeededColumns: []string{"texts"}}}
	return cfg
}

// chance makes transactions.
type chance struct{ *rand.Rand }

func (r chance) text() string { return string(rune('a' + r.IntN(6))) }

func (r chance) set(least, most int, member func() any) any {
	members := map[any]bool{}
	for n := least + r.IntN(most-least+1); len(members) < n; {
		members[member()] = true
	}
	return []any{"set", slices.Collect(maps.Keys(members))}
}

func (r chance) pairs(most int, value func() any) any {
	pairs := map[string]any{}
	for range r.IntN(most + 1) {
		pairs[r.text()] = value()
	}
	list := [][]any{}
	for k, v := range pairs {
		list = append(list, []any{k, v})
	}
	return []any{"map", list}
}

// values returns what some columns are set to.
func (r chance) values(uuids []string) map[string]any {
	text, number := func() any { return r.text() }, func() any { return r.IntN(6) }
	ref := func() any { return []string{"uuid", uuids[r.IntN(len(uuids))]} }
	all := map[string]func() any{
		"text": text, "number": number, "real": func() any { return float64(r.IntN(8)) / 4 }, "flag": func() any { return r.IntN(2) == 0 },
		"may_text": func() any { return r.set(0, 1, text) }, "may_flag": func() any { return r.set(0, 1, func() any { return true }) },
		"texts": func() any { return r.set(0, 5, text) }, "numbers": func() any { return r.set(0, 5, number) }, "three": func() any { return r.set(1, 3, number) },
		"pairs": func() any { return r.pairs(5, text) }, "counts": func() any { return r.pairs(5, number) }, "one_pair": func() any { return r.pairs(1, text) },
		"alone": func() any { return r.set(0, 1, text) },
	}
	if len(uuids) > 0 {
		all["refs"] = func() any { return []any{"set", []any{ref()}} }
	}
	row := map[string]any{}
	for name, value := range all {
		if r.IntN(3) == 0 {
			row[name] = value()
		}
	}
	return row
}

// operation returns a random one on random rows.
func (r chance) operation(uuids []string) map[string]any {
	if len(uuids) == 0 || r.IntN(4) == 0 {
		row := r.values(uuids)
		row["three"] = []any{"set", []any{r.IntN(6)}}
		return map[string]any{"op": "insert", "table": "T", "row": row}
	}
	op := map[string]any{"table": "T", "where": []any{[]any{"_uuid", "==", []string{"uuid", uuids[r.IntN(len(uuids))]}}}}
	switch r.IntN(8) {
	case 0:
		op["op"] = "delete"
	case 1, 2:
		op["op"] = "mutate"
		op["mutations"] = []any{[]any{"texts", "insert", r.text()}, []any{"texts", "delete", r.text()}, []any{"number", "+=", 1},
			[]any{"pairs", "delete", r.text()}, []any{"counts", "insert", []any{"map", []any{[]any{r.text(), 9}}}}}
	default:
		op["op"], op["row"] = "update", r.values(uuids)
	}
	return op
}

// normal returns rows without the order of their sets.
func normal(rows map[string]any, meets func(*everything) bool) map[string]everything {
	out := map[string]everything{}
	for uuid, row := range rows {
		e := *row.(*everything)
		if !meets(&e) {
			continue
		}
		for _, set := range []*[]string{&e.Texts, &e.Refs, &e.Alone} {
			*set = slices.Sorted(slices.Values(*set))
		}
		for _, set := range []*[]int{&e.Numbers, &e.Three} {
			*set = slices.Sorted(slices.Values(*set))
		}
		for _, m := range []*map[string]string{&e.Pairs, &e.OnePair} {
			if len(*m) == 0 {
				*m = nil
			}
		}
		if len(e.Counts) == 0 {
			e.Counts = nil
		}
		out[uuid] = e
	}
	return out
}

func all(*everything) bool { return true }

// What is made of differences is what a fresh reading finds, and what a server without
// monitor_cond tells, over random transactions.
func TestReplicaEqualsFreshReading(t *testing.T) {
	s := everyServer(t)
	p := ovsdbtest.NewProxy(t, s)
	p.Set(ovsdbtest.Fault{Old: true})
	conn := s.Dial("Every")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := chance{rand.New(rand.NewPCG(seed, 0))}
	_, byDifference := run(t, every(s.Endpoint()))
	_, byRow := run(t, every(p.Endpoint()))
	narrow, filtered := run(t, every(s.Endpoint()))
	filtered.await("the first reading", synced)
	conditions := map[string]func(*everything) bool{
		"a": func(e *everything) bool { return e.Text == "a" || slices.Contains(e.Texts, "b") },
		"b": func(e *everything) bool { return e.Number < 3 || e.Pairs["a"] == "b" },
		"c": func(*everything) bool { return false },
		"d": all,
	}
	where := map[string][]Condition{
		"a": {{"text", "==", "a"}, {"texts", "includes", Set{"b"}}},
		"b": {{"number", "<", 3}, {"pairs", "includes", Map{"a": "b"}}},
		"c": {{}},
		"d": nil,
	}
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		condition := string(rune('a' + r.IntN(4)))
		inForce := make(chan struct{})
		narrow.SetWhere("T", where[condition], func() { close(inForce) })
		for range 1 + r.IntN(30) {
			filteredRows(byDifference, func(rows map[string]any) {
				var ops []any
				for range 1 + r.IntN(4) {
					ops = append(ops, r.operation(slices.Sorted(maps.Keys(rows))))
				}
				conn.Try(ops...) // one may name a row that is gone by then
			})
		}
		<-inForce
		mark := fmt.Sprint("round ", round)
		conn.Transact(map[string]any{"op": "insert", "table": "T", "row": map[string]any{"text": mark, "texts": "b", "number": 1, "three": 1}})
		marked := func(r *recorder) bool {
			return slices.ContainsFunc(slices.Collect(maps.Values(r.rows["T"])), func(row any) bool { return row.(*everything).Text == mark })
		}
		_, fresh := run(t, every(s.Endpoint()))
		fresh.await("a fresh reading", marked)
		want := normal(fresh.rows["T"], all)
		for name, got := range map[string]*recorder{"differences": byDifference, "rows": byRow} {
			got.await(name+" of "+mark, marked)
			filteredRows(got, func(rows map[string]any) { compare(t, name+" of "+mark, want, normal(rows, all)) })
		}
		if condition != "c" {
			filtered.await("the filtered "+mark, marked)
		}
		filteredRows(filtered, func(rows map[string]any) {
			compare(t, "condition "+condition+" of "+mark, normal(fresh.rows["T"], conditions[condition]), normal(rows, all))
		})
		if t.Failed() {
			return
		}
	}
	byDifference.mu.Lock()
	defer byDifference.mu.Unlock()
	t.Logf("%d batches, %d rows at the end", len(byDifference.told), len(byDifference.rows["T"]))
}

func filteredRows(r *recorder, look func(map[string]any)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	look(r.rows["T"])
}

func compare(t *testing.T, what string, want, got map[string]everything) {
	t.Helper()
	var wrong []string
	for uuid := range maps.Keys(want) {
		if g, ok := got[uuid]; !ok || !reflect.DeepEqual(g, want[uuid]) {
			wrong = append(wrong, fmt.Sprintf("%s: %+v\nwant %+v", uuid, g, want[uuid]))
		}
	}
	if len(want) != len(got) || len(wrong) > 0 {
		t.Errorf("%s: %d rows, want %d; %s", what, len(got), len(want), strings.Join(wrong, "\n"))
	}
}
