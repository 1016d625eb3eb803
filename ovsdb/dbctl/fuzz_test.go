package dbctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// kindsOfColumns are one of each kind, as schemas write them.
var kindsOfColumns = []string{
	`"string"`, `"integer"`, `"real"`, `"boolean"`, `"uuid"`,
	`{"key":"string","min":0,"max":"unlimited"}`, `{"key":"integer","min":0,"max":"unlimited"}`, `{"key":"real","min":0,"max":"unlimited"}`,
	`{"key":"uuid","min":0,"max":"unlimited"}`, `{"key":"boolean","min":0}`, `{"key":"string","min":0}`,
	`{"key":"string","value":"string","min":0,"max":"unlimited"}`, `{"key":"integer","value":"uuid","min":0,"max":3}`,
	`{"key":"real","value":"boolean","min":0,"max":"unlimited"}`, `{"key":"uuid","value":"integer","min":1,"max":1}`,
	`{"key":{"type":"string","enum":["set",["a","b c","true"]]},"min":0,"max":2}`,
	`{"key":{"type":"integer","minInteger":-5,"maxInteger":70000},"min":1,"max":3}`,
	`{"key":{"type":"string","minLength":2,"maxLength":3},"min":0,"max":1}`, `{"key":{"type":"real","minReal":-1,"maxReal":1.5}}`,
}

func typeOf(t testing.TB, schema string) (typ Type) {
	t.Helper()
	if err := json.Unmarshal([]byte(schema), &typ); err != nil {
		t.Fatal(err)
	}
	return typ
}

// roundTrip wants a value back that was written: as text, and in JSON.
func roundTrip(t *testing.T, typ Type, d Datum) {
	t.Helper()
	text := Plain.Datum(typ, d)
	again, err := parseDatum(typ, text, nil)
	if err != nil || again.compare(d) != 0 || Plain.Datum(typ, again) != text {
		t.Errorf("%#v was written %q and read again as %#v: %v", d, text, again, err)
	}
	data := JSON.Datum(typ, d)
	again, err = decodeDatum(typ, []byte(data))
	if err != nil || again.compare(d) != 0 {
		t.Errorf("%#v was written %s and read again as %#v: %v", d, data, again, err)
	}
}

// FuzzValue reads any text as a value of any type. What was read is what is written, and
// what is written is read again as the same.
func FuzzValue(f *testing.F) {
	for i, text := range []string{`a b,"c d"`, `[1-5, 7]`, `1e3`, "true", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", `[a\,b]`, "-3--1", `[0.1 -2e9]`, `[]`, "yes",
		`"\ud83d\ude00\n"`, `{a=b, "c d"="e\"f"}`, `{}`, `{1.5=on}`, `a"b\"c"d`, `"b c"`, `1-3`, `äö`, `-0`} {
		f.Add(text, uint8(i))
	}
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		typ := typeOf(t, kindsOfColumns[int(n)%len(kindsOfColumns)])
		d, err := parseDatum(typ, text, nil)
		if err != nil {
			return
		}
		if d.Len() < typ.Min || d.Len() > typ.Max || d.duplicate() {
			t.Errorf("%q was read as %#v", text, d)
		}
		for _, key := range d.Keys {
			if err := typ.Key.check(key); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
		roundTrip(t, typ, d)
	})
}

// FuzzStrings writes any strings, in sets, as keys and as values.
func FuzzStrings(f *testing.F) {
	f.Add("a", `"`)
	f.Add("true", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
	f.Add("", "\x00\x1f\\")
	f.Add("@x", "[a, b]={}")
	f.Fuzz(func(t *testing.T, a, b string) {
		check := Base{Kind: Strings, Lengths: [2]int{0, 1 << 30}}
		for _, s := range []string{a, b} {
			if check.check(s) != nil || strings.ContainsRune(s, 0) {
				return
			}
		}
		set, pairs := typeOf(t, kindsOfColumns[5]), typeOf(t, kindsOfColumns[11])
		d := newDatum(Datum{Keys: slices.Compact([]Atom{a, b})})
		roundTrip(t, set, d)
		roundTrip(t, pairs, Datum{Keys: d.Keys, Values: []Atom{b, a}[:d.Len()]})
		// what is written stands for itself in a term as well
		term, err := parseTerm("c:"+Plain.atom(a)+"="+Plain.Datum(set, d), assigns)
		if err != nil {
			t.Fatalf("key %q: %v", a, err)
		}
		if key, err := check.parse(term.key, nil); err != nil || key != a {
			t.Errorf("key %q was read as %q: %v", a, key, err)
		}
	})
}

// FuzzTerm reads conditions. Each operator of an opposite holds where the other does not.
func FuzzTerm(f *testing.F) {
	f.Add("c{<=}1,2", "[1]", uint8(6))
	f.Add("c:k!=v", "{k=w}", uint8(11))
	f.Add(`c:"a b"{not-in}x`, `{"a b"=x}`, uint8(11))
	f.Add("c>=1.5", "2", uint8(2))
	opposite := map[string]string{"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "{=}": "{!=}", "{!=}": "{=}"}
	f.Fuzz(func(t *testing.T, text, value string, n uint8) {
		c := &Column{Name: "c", Type: typeOf(t, kindsOfColumns[int(n)%len(kindsOfColumns)])}
		have, err := parseDatum(c.Type, value, nil)
		if err != nil {
			return
		}
		condition, err := parseTerm(text, operators)
		if err != nil {
			return
		}
		holds, err := condition.holds(c, have, nil)
		if err != nil {
			return
		}
		other := condition
		if other.op = opposite[condition.op]; other.op == "" {
			return
		}
		missing := false
		if condition.hasKey {
			key, _ := condition.element(c, nil)
			_, found := have.Get(key)
			missing = !found && !strings.HasPrefix(condition.op, "{")
		}
		if otherwise, err := other.holds(c, have, nil); err != nil || holds == otherwise && !missing {
			t.Errorf("%q %s: %v, and with %s %v (%v)", text, value, holds, other.op, otherwise, err)
		}
	})
}

// FuzzLine reads command lines. What was read can be written, and read again as the same.
func FuzzLine(f *testing.F) {
	f.Add("--db=x\n-fcsv\n--if-exists\nget\nT\nr\n--\n--\nset\nT\nr\ny=-1")
	f.Add("-t\n1\n--col\na,b\nfind\nT\na{in}b\n--\n--all\ndestroy\nT")
	globals := []Option{{Name: "db", Value: "REMOTE"}, {Name: "format", Short: 'f', Value: "F"}, {Name: "timeout", Short: 't', Value: "S"}, {Name: "oneline"}}
	f.Fuzz(func(t *testing.T, text string) {
		line, err := ParseLine(strings.Split(text, "\n"), globals, Generic())
		FirstCommand(strings.Split(text, "\n"), globals, Generic())
		if err != nil {
			return
		}
		var words []string
		for _, g := range line.Globals {
			word := "--" + g.Name
			if g.Name != "oneline" {
				word += "=" + g.Value
			}
			words = append(words, word)
		}
		for _, c := range line.Calls {
			words = append(words, "--")
			for name, value := range c.Options {
				if option := c.Command.Options[slices.IndexFunc(c.Command.Options, func(o Option) bool { return o.Name == name })]; option.Value != "" {
					value = "=" + value
				}
				words = append(words, "--"+name+value)
			}
			words = append(append(words, c.Command.Name), c.Args...)
		}
		again, err := ParseLine(words, globals, Generic())
		if err != nil || fmt.Sprint(again.Globals) != fmt.Sprint(line.Globals) || !slices.EqualFunc(again.Calls, line.Calls, func(a, b *Call) bool { return a.words() == b.words() }) {
			t.Errorf("%q was written %q: %v", text, words, err)
		}
	})
}

// liar answers with anything.
type liar struct{ schema, rows, results []byte }

func (l *liar) Schema(context.Context) (json.RawMessage, error)  { return l.schema, nil }
func (l *liar) Watch(context.Context, map[string][]string) error { return nil }
func (l *liar) Changed(context.Context) error                    { return errors.New("enough") }
func (l *liar) Transact(_ context.Context, ops ...any) (list []json.RawMessage, err error) {
	data := l.results
	if _, reads := ops[0].(map[string]any); reads {
		data = l.rows
	}
	return list, json.Unmarshal(data, &list)
}

// FuzzServer carries out a batch on a server that answers anything.
func FuzzServer(f *testing.F) {
	schema := `{"name":"D","tables":{"T":{"columns":{"name":{"type":"string"},"set":{"type":{"key":"integer","min":0,"max":"unlimited"}},
		"map":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}}}}}}`
	rows := `[{"rows":[{"_uuid":["uuid","f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],"name":"r","set":["set",[1,2]],"map":["map",[["a","b"]]]}]}]`
	f.Add([]byte(schema), []byte(rows), []byte(`[{},{"count":1},{},{},{"uuid":["uuid","f81d4fae-7dec-11d0-a765-00a0c91e6bf6"]},{},null]`))
	f.Add([]byte(schema), []byte(rows), []byte(`[{"error":"timed out"}]`))
	f.Add([]byte(`{"tables":{"T":null}}`), []byte(`[{"rows":[{"_uuid":["set",[]]}]}]`), []byte(`null`))
	f.Fuzz(func(t *testing.T, schema, rows, results []byte) {
		if strings.Contains(string(results), "timed out") {
			return // it would be tried again, for ever
		}
		line, err := ParseLine(strings.Split("get T r name map:a set -- set T r map:x=y set=5 -- add T r set 6 7 -- remove T r map a -- clear T r set -- "+
			"create T name=n -- list T -- find T name=r set{>=}1 -- --all destroy T", " "), nil, Generic())
		if err != nil {
			t.Fatal(err)
		}
		db := &liar{schema, rows, results}
		if Run(t.Context(), db, line.Calls, Config{}) == nil {
			for _, layout := range []Layout{Stanzas, Columns, CSV, HTML, Objects} {
				if err := Print(io.Discard, line.Calls, Format{Layout: layout, Pretty: true, MaxWidth: 3}); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
