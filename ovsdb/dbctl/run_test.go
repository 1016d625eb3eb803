package dbctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const testSchema = `{"name":"D","tables":{
	"Named":{"isRoot":true,"columns":{"name":{"type":"string"},"n":{"type":"integer"},"r":{"type":"real"},"refs":{"type":{"key":{"type":"uuid","refTable":"Child"},"min":0,"max":"unlimited"}}}},
	"Indexed":{"isRoot":true,"indexes":[["a","b"],["key"]],"columns":{"key":{"type":"integer"},"a":{"type":"string"},"b":{"type":"string"}}},
	"Nameless":{"isRoot":true,"columns":{"a":{"type":"string"}}},
	"Child":{"columns":{"a":{"type":"string"}}}}}`

const one, two = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"

// script is a database that has rows, and answers to transactions what it is told.
type script struct {
	rows    map[string]string // of tables, JSON
	answers []string          // to transactions that change something; then results without errors
	sent    []string
	changed chan struct{}
	fail    error // of transactions that change something
	watched map[string][]string
}

func (s *script) Schema(context.Context) (json.RawMessage, error) {
	return json.RawMessage(testSchema), nil
}

func (s *script) Transact(_ context.Context, ops ...any) ([]json.RawMessage, error) {
	var results []json.RawMessage
	if _, reads := ops[0].(map[string]any); reads {
		for _, op := range ops {
			rows := s.rows[fmt.Sprint(op.(map[string]any)["table"])]
			results = append(results, json.RawMessage(`{"rows":[`+rows+`]}`))
		}
		return results, nil
	}
	data, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	if s.sent = append(s.sent, string(data)); s.fail != nil {
		return nil, s.fail
	}
	if len(s.answers) > 0 {
		answer := s.answers[0]
		s.answers = s.answers[1:]
		return results, json.Unmarshal([]byte(answer), &results)
	}
	for range ops {
		results = append(results, json.RawMessage(`{}`))
	}
	return results, nil
}

func (s *script) Watch(_ context.Context, columns map[string][]string) error {
	s.watched = columns
	return nil
}

func (s *script) Changed(ctx context.Context) error {
	select {
	case <-s.changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// batch parses a line of words that have no spaces.
func parsed(t *testing.T, line string) []*Call {
	t.Helper()
	l, err := ParseLine(strings.Fields(line), nil, Generic())
	if err != nil {
		t.Fatal(err)
	}
	return l.Calls
}

func printed(t *testing.T, calls []*Call) string {
	t.Helper()
	var b strings.Builder
	if err := Print(&b, calls, Format{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func row(uuid, columns string) string { return `{"_uuid":["uuid","` + uuid + `"],` + columns + `}` }

// A transaction says what it relies on: names, what was printed, what is changed.
func TestTransaction(t *testing.T) {
	db := &script{rows: map[string]string{"Named": row(one, `"name":"x","n":1,"r":0.5,"refs":["set",[]]`), "Child": ""}}
	calls := parsed(t, "get Named x n r -- add Named x refs @c -- --id=@c create Child a=b -- comment why")
	if err := Run(t.Context(), db, calls, Config{Program: "p"}); err != nil {
		t.Fatal(err)
	}
	want := `[{"columns":["_uuid","n","name"],"op":"wait","rows":[{"_uuid":["uuid","` + one + `"],"n":1,"name":"x"}],"table":"Named","timeout":0,"until":"==","where":[["_uuid","==",["uuid","` + one + `"]]]},` +
		`{"mutations":[["refs","insert",["named-uuid","row0"]]],"op":"mutate","table":"Named","where":[["_uuid","==",["uuid","` + one + `"]]]},` +
		`{"op":"insert","row":{"a":"b"},"table":"Child","uuid-name":"row0"},` +
		`{"comment":"p: get Named x n r -- add Named x refs @c -- --id=@c create Child a=b -- comment why","op":"comment"}]`
	if len(db.sent) != 1 || db.sent[0] != want {
		t.Errorf("sent %s\nwant %s", db.sent, want)
	}
}

// What only looks sends no transaction.
func TestLookingChangesNothing(t *testing.T) {
	db := &script{rows: map[string]string{"Named": row(one, `"name":"x","n":1,"r":0.5,"refs":["set",[]]`)}}
	calls := parsed(t, "get Named x n r -- list Named -- find Named n>0 -- wait-until Named x -- comment c")
	if err := Run(t.Context(), db, calls, Config{}); err != nil || db.sent != nil {
		t.Errorf("sent %s: %v", db.sent, err)
	}
	if got := printed(t, calls[:1]); got != "1\n0.5\n" {
		t.Errorf("printed %q", got)
	}
}

// A lost race is run again, with what there is then, and prints only that.
func TestRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &script{rows: map[string]string{"Named": row(one, `"name":"x","n":1,"r":0.5,"refs":["set",[]]`)},
			answers: []string{`[{"error":"timed out"}]`, `[{"error":"timed out"},null]`}}
		calls := parsed(t, "get Named x n -- set Named x n=5 -- get Named x n")
		if err := Run(t.Context(), db, calls, Config{}); err != nil || len(db.sent) != 3 {
			t.Errorf("sent %d times: %v", len(db.sent), err)
		}
		if got := printed(t, calls); got != "1\n5\n" {
			t.Errorf("printed %q", got)
		}
	})
}

// A race that is never won ends with the time.
func TestRaceWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		db := &script{rows: map[string]string{"Named": row(one, `"name":"x","n":1`)}, answers: make([]string, 1000)}
		for i := range db.answers {
			db.answers[i] = `[{"error":"timed out"}]`
		}
		err := Run(ctx, db, parsed(t, "set Named x n=5"), Config{})
		if !errors.Is(err, context.DeadlineExceeded) || len(db.sent) < 10 || len(db.sent) > 40 {
			t.Errorf("sent %d times: %v", len(db.sent), err)
		}
	})
}

// wait-until looks again after each change, and not before.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &script{rows: map[string]string{"Named": ""}, changed: make(chan struct{})}
		calls := parsed(t, "wait-until Named x n>=2 -- get Named x n")
		ended := make(chan error, 1)
		go func() { ended <- Run(t.Context(), db, calls, Config{}) }()
		for _, rows := range []string{row(two, `"name":"y","n":2`), row(one, `"name":"x","n":1`), row(one, `"name":"x","n":2`)} {
			synctest.Wait()
			select {
			case err := <-ended:
				t.Fatalf("ended early: %v", err)
			default:
			}
			db.rows["Named"] = rows
			db.changed <- struct{}{}
		}
		if err := <-ended; err != nil || printed(t, calls) != "2\n" {
			t.Errorf("printed %q: %v", printed(t, calls), err)
		}
		if columns := db.watched["Named"]; len(columns) != 2 {
			t.Errorf("watched %v", db.watched)
		}
	})
}

func TestUncertain(t *testing.T) {
	lost := errors.New("lost")
	db := &script{rows: map[string]string{"Named": row(one, `"name":"x","n":1`)}, fail: lost}
	err := Run(t.Context(), db, parsed(t, "set Named x n=5"), Config{})
	if !errors.Is(err, ErrUncertain) || !errors.Is(err, lost) || len(db.sent) != 1 {
		t.Errorf("sent %d times: %v", len(db.sent), err)
	}
}

// A refusal is an error with the server's words.
func TestRefusal(t *testing.T) {
	for answer, want := range map[string]string{
		`[{},{"error":"constraint violation","details":"5 is odd"}]`: "5 is odd (constraint violation)",
		`[{},{},{},{"error":"referential integrity violation"}]`:     "referential integrity violation",
		`[{}]`: "has 1 results", `[5,6]`: "result of a transaction", `[]`: "has 0 results",
	} {
		db := &script{rows: map[string]string{"Named": row(one, `"name":"x","n":1`)}, answers: []string{answer}}
		if err := Run(t.Context(), db, parsed(t, "set Named x n=5"), Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

// Rows are named as the schema suggests where nobody has said how.
func TestNames(t *testing.T) {
	rows := map[string]string{
		"Named":    row(one, `"name":"x","n":1`) + "," + row(two, `"name":"a","n":2`),
		"Indexed":  row(one, `"key":7,"a":"x","b":"y"`),
		"Nameless": row(one, `"a":"x"`) + "," + row(two, `"a":"x"`),
	}
	for line, want := range map[string]string{
		"get Named x n": "1\n", "get Named 2222 n": "2\n", "get Named 2222222 n": "2\n", "get Indexed 7 a": "x\n", "get Indexed . a": "x\n",
		"get Nameless 1111 a": "x\n", "get Named 222 n": "error", "get Indexed x a": "error", "get Nameless . a": "error", "get Nameless x a": "error",
		"--columns=name list Named": "name                : a\n\nname                : x\n",
	} {
		calls := parsed(t, "-- "+line)
		err := Run(t.Context(), &script{rows: rows}, calls, Config{})
		if got := printed(t, calls); want == "error" && err == nil || want != "error" && (err != nil || got != want) {
			t.Errorf("%s: %q, %v", line, got, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	for line, want := range map[string]int{
		"create Child a=b": 1, "create Named n=5": 0, "--id=@c create Child a=b -- create Named refs=@c": 0, "--id=@c create Child a=b": 1,
	} {
		n := 0
		err := Run(t.Context(), &script{}, parsed(t, "-- "+line), Config{Warn: func(string) { n++ }})
		if err != nil || n != want {
			t.Errorf("%s: %d warnings, %v", line, n, err)
		}
	}
}
