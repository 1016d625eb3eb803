package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowshunt/flowshunt/cmd/flowshuntctl/internal/cli"
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

const conformance = "../../e2e/testdata/conformance"

// TestConformance runs the command lines of e2e/testdata/conformance through ovs-vsctl and
// through flowshuntctl, on equal servers of their own.
func TestConformance(t *testing.T) {
	files, err := filepath.Glob(conformance + "/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var lines atomic.Int32
	var group sync.WaitGroup // not t.Parallel: most of a file is waiting
	for _, file := range files {
		group.Go(func() {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { lines.Add(compareFile(t, file)) })
		})
	}
	group.Wait()
	if n := lines.Load(); n < 400 && !t.Failed() && !t.Skipped() {
		t.Errorf("only %d command lines were compared", n)
	}
}

// compareFile compares the lines of a file and returns how many there are.
func compareFile(t *testing.T, file string) (n int32) {
	theirs, ours := newSide(t, vsctl), newSide(t, flowshuntctl)
	for i, line := range readLines(t, file) {
		if line == "reset" {
			theirs.reset(t)
			ours.reset(t)
			continue
		}
		n++
		line, unordered := strings.CutPrefix(line, "~ ")
		words := split(t, line)
		want, have := theirs.do(t, words), ours.do(t, words)
		if unordered {
			want.stdout, have.stdout = sortRows(want.stdout), sortRows(have.stdout)
		}
		if diff := cmp.Diff(want, have, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("%s:%d: %s\n-ovs-vsctl +flowshuntctl:\n%s\novs-vsctl: %s\nflowshuntctl: %s",
				filepath.Base(file), i+1, line, diff, theirs.stderr, ours.stderr)
		}
	}
	return n
}

// side is a server and the program that works on it.
type side struct {
	server  *ovsdbtest.Server
	program program
	conn    *ovsdbtest.Conn
	base    map[string]bool // uuids of base.json

	db      *client.Conn // reads
	tables  []table
	results []json.RawMessage // what it has read last
	rows    []string          // the same, canonical

	stderr string // of the last line
}

// program carries out a command line and returns its exit code.
type program func(server string, args []string, stdout, stderr io.Writer) int

// table is one with all of its columns.
type table struct {
	name    string
	columns []string
}

func newSide(t *testing.T, p program) *side {
	t.Helper()
	s := &side{server: ovsdbtest.Start(t, ovsdbtest.OpenVSwitch), program: p, base: map[string]bool{}}
	s.conn = s.server.Dial("Open_vSwitch")
	var err error
	if s.db, err = client.Dial(t.Context(), client.Config{Remotes: s.server.Endpoint(), Database: "Open_vSwitch"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.db.Close)
	s.tables = tablesOf(t, s.db)
	for _, op := range s.reset(t) {
		uuid, _ := op["uuid"].(string)
		s.base[uuid] = true
	}
	return s
}

func tablesOf(t *testing.T, db *client.Conn) (list []table) {
	t.Helper()
	data, err := db.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Tables map[string]struct{ Columns map[string]any }
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Tables)) {
		columns := append([]string{"_uuid"}, slices.Sorted(maps.Keys(schema.Tables[name].Columns))...)
		list = append(list, table{name, columns})
	}
	return list
}

// reset makes the database that of base.json, whose operations it returns. A uuid cannot come back in
// the transaction in which it goes, nor a row go before what refers to it.
func (s *side) reset(t *testing.T) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(conformance + "/base.json")
	if err != nil {
		t.Fatal(err)
	}
	var base []map[string]any
	if err := json.Unmarshal(data, &base); err != nil {
		t.Fatal(err)
	}
	remove := func(table string) any { return map[string]any{"op": "delete", "table": table, "where": []any{}} }
	s.conn.Transact(remove("Flow_Sample_Collector_Set"), remove("Open_vSwitch"))
	s.conn.Transact(remove("QoS"), remove("Queue"))
	var ops []any
	for _, op := range base {
		ops = append(ops, op)
	}
	s.conn.Transact(ops...)
	return base
}

// outcome is what of a line must be the same on both sides.
type outcome struct {
	code     int
	stdout   string
	database []string
}

func (s *side) do(t *testing.T, args []string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := s.program(s.server.Endpoint(), args, &stdout, &stderr)
	s.stderr = stderr.String()
	return outcome{code, s.rename(stdout.String()), s.contents(t)}
}

func vsctl(server string, args []string, stdout, stderr io.Writer) int {
	cmd := exec.Command("ovs-vsctl", append([]string{"--no-wait", "--db=" + server}, args...)...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	}
	return 142 // by SIGALRM, as a shell says it
}

func flowshuntctl(server string, args []string, stdout, stderr io.Writer) int {
	env := cli.Env{Stdout: stdout, Stderr: stderr}
	return cli.Run(context.Background(), env, append([]string{"--db=" + server, "--database=Open_vSwitch"}, args...))
}

// readLines returns the lines of a file, "" for those that say nothing.
func readLines(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(data), "\n"), "\n") {
		if !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// split divides a line as a shell does, as far as ' and \ go.
func split(t *testing.T, line string) (words []string) {
	t.Helper()
	var word strings.Builder
	inWord, quoted := false, false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\'':
			quoted, inWord = !quoted, true
		case quoted:
			word.WriteByte(c)
		case c == ' ' && inWord:
			words, inWord = append(words, word.String()), false
			word.Reset()
		case c == ' ':
		default:
			if c == '\\' && i+1 < len(line) {
				i++
				c = line[i]
			}
			inWord = true
			word.WriteByte(c)
		}
	}
	if quoted {
		t.Fatalf("a quotation mark is missing: %s", line)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}

// sortRows brings the rows of a listing into an order.
func sortRows(text string) string {
	separator := "\n"
	if strings.Contains(text, "\n\n") {
		separator = "\n\n"
	}
	rows := strings.Split(strings.TrimSuffix(text, "\n"), separator)
	slices.Sort(rows)
	return strings.Join(rows, separator)
}
