package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// actor listens like a database server and plays a script on each connection:
// it answers the first requests with the lines, then closes.
func actor(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(ovsdbtest.TempDir(t), "db.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			play(conn, lines)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return "unix:" + path
}

func play(conn net.Conn, lines []string) {
	defer func() { _ = conn.Close() }()
	dec := json.NewDecoder(conn)
	for _, line := range lines {
		for line == chatter { // until the client hangs up
			var reply json.RawMessage
			if _, err := io.WriteString(conn, `{"method":"echo","params":[],"id":"chat"}`); err != nil || dec.Decode(&reply) != nil {
				return
			}
		}
		if !strings.HasPrefix(line, "+") { // "+": without waiting for a request
			var request json.RawMessage
			if dec.Decode(&request) != nil {
				return
			}
		}
		line, late := strings.CutPrefix(line, slowly)
		if late {
			<-time.After(time.Second)
		}
		if _, err := io.WriteString(conn, strings.TrimPrefix(line, "+")); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, conn)
}

const (
	slowly    = "after a second: "
	chatter   = "echo requests, but no answer"
	actDBs    = `{"id":1,"result":["Open_vSwitch"],"error":null}`
	actSchema = `{"id":2,"result":{"tables":{"Open_vSwitch":{"columns":{}},"Bridge":{"columns":{"name":{"type":"string"},"ports":{"type":{"key":"uuid","min":0,"max":"unlimited"}},"external_ids":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}}}},"Port":{"columns":{}},"Interface":{"columns":{}}}},"error":null}`
	actEmpty  = `{"id":3,"result":{},"error":null}`
	actOld    = `{"id":3,"result":null,"error":"unknown method"}`
	actPlain  = `{"id":4,"result":{},"error":null}`
	actBridge = `{"id":3,"result":{"Bridge":{"u":{"initial":{"name":"br0"}}}},"error":null}`
)

// told is a notification of the method, for our monitor.
func told(method, updates string) string {
	return `+{"method":"` + method + `","params":["Open_vSwitch",` + updates + `],"id":null}`
}

// What ends the process in libovsdb's client, and more of the kind, is an error.
func TestHostileServer(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		want  error // nil = any
	}{
		"empty object":               {[]string{actDBs, actSchema, actEmpty, `+{}`}, ErrProtocol},
		"null":                       {[]string{actDBs, actSchema, actEmpty, "+null\n"}, ErrProtocol},
		"array":                      {[]string{`[]`}, ErrProtocol},
		"number":                     {[]string{"7\n"}, ErrProtocol},
		"update, no parameters":      {[]string{actDBs, actSchema, actEmpty, `+{"method":"update2","id":null}`}, ErrProtocol},
		"update, one parameter":      {[]string{actDBs, actSchema, actEmpty, `+{"method":"update2","params":["Open_vSwitch"],"id":null}`}, ErrProtocol},
		"update of nothing":          {[]string{actDBs, actSchema, actEmpty, told("update2", `7`)}, ErrProtocol},
		"update, other table":        {[]string{actDBs, actSchema, actEmpty, told("update2", `{"Queue":{"u":{"insert":{}}}}`)}, ErrProtocol},
		"update, other monitor":      {[]string{actDBs, actSchema, actEmpty, `+{"method":"update2","params":["x",{}],"id":null}`}, ErrProtocol},
		"update of the other kind":   {[]string{actDBs, actSchema, actEmpty, told("update", `{}`)}, ErrProtocol},
		"update that says nothing":   {[]string{actDBs, actSchema, actEmpty, told("update2", `{"Bridge":{"u":{}}}`)}, ErrProtocol},
		"modified, never sent":       {[]string{actDBs, actSchema, actEmpty, told("update2", `{"Bridge":{"u":{"modify":{"name":"x"}}}}`)}, ErrProtocol},
		"no map as difference":       {[]string{actDBs, actSchema, actBridge, told("update2", `{"Bridge":{"u":{"modify":{"external_ids":["set",[]]}}}}`)}, ErrProtocol},
		"no set as difference":       {[]string{actDBs, actSchema, actBridge, told("update2", `{"Bridge":{"u":{"modify":{"ports":["set",[[]]]}}}}`)}, ErrProtocol},
		"empty array as value":       {[]string{actDBs, actSchema, `{"id":3,"result":{"Bridge":{"u":{"initial":{"name":[]}}}},"error":null}`}, ErrProtocol},
		"unclosed set":               {[]string{actDBs, actSchema, `{"id":3,"result":{"Bridge":{"u":{"initial":{"ports":["set"]}}}},"error":null}`}, ErrProtocol},
		"map of nothing":             {[]string{actDBs, actSchema, `{"id":3,"result":{"Bridge":{"u":{"initial":{"external_ids":["map",[[]]]}}}},"error":null}`}, ErrProtocol},
		"number as name":             {[]string{actDBs, actSchema, `{"id":3,"result":{"Bridge":{"u":{"initial":{"name":7}}}},"error":null}`}, ErrProtocol},
		"too many rows":              {[]string{actDBs, actSchema, `{"id":3,"result":{"Bridge":{` + manyRows(1001) + `}},"error":null}`}, ErrProtocol},
		"too large a message":        {[]string{`{"id":1,"result":["` + strings.Repeat("x", 1<<20) + `"],"error":null}`}, ErrProtocol},
		"old server, no parameters":  {[]string{actDBs, actSchema, actOld, actPlain, `+{"method":"update","id":null}`}, ErrProtocol},
		"old server, other table":    {[]string{actDBs, actSchema, actOld, actPlain, told("update", `{"Queue":{"u":{"new":{}}}}`)}, ErrProtocol},
		"old server, number as name": {[]string{actDBs, actSchema, actOld, actPlain, told("update", `{"Bridge":{"u":{"new":{"name":7}}}}`)}, ErrProtocol},
		"old server, refuses all":    {[]string{actDBs, actSchema, actOld, `{"id":4,"error":"unknown method"}`}, nil},
		"unknown to _Server":         {[]string{`{"id":1,"result":["Open_vSwitch","_Server"],"error":null}`, `{"id":2,"result":{"tables":{"Database":{"columns":{"name":{"type":"string"},"connected":{"type":"boolean"}}}}},"error":null}`, actEmpty}, ErrNoDatabase},
		"_Server without columns":    {[]string{`{"id":1,"result":["Open_vSwitch","_Server"],"error":null}`, `{"id":2,"result":{"tables":{"Database":{"columns":{}}}},"error":null}`}, ErrSchema},
		"refused":                    {[]string{`{"id":1,"result":null,"error":"unknown method"}`}, nil},
		"result missing":             {[]string{`{"id":1}`}, ErrProtocol},
		"databases are an object":    {[]string{`{"id":1,"result":{},"error":null}`}, ErrProtocol},
		"schema without tables":      {[]string{actDBs, `{"id":2,"result":{},"error":null}`}, ErrSchema},
		"deep nesting":               {[]string{strings.Repeat("[", 20000)}, ErrProtocol},
		"monitor canceled":           {[]string{actDBs, actSchema, actEmpty, `+{"method":"monitor_canceled","params":[null],"id":null}`}, ErrNoDatabase},
		"answers nothing":            {[]string{``}, ErrStalled},
		"talks of other things":      {[]string{actDBs, chatter}, ErrStalled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := bridges(actor(t, test.lines...))
			cfg.MaxRows, cfg.MaxMessage = 1000, 1<<20
			cfg.Inactivity, cfg.MinBackoff = 300*time.Millisecond, 50*time.Millisecond
			_, r := run(t, cfg)
			var err error
			r.await("the error", func(r *recorder) bool { // a busy machine can let it stall first
				err = r.err
				return lost(r) && (test.want == nil || errors.Is(err, test.want))
			})
			var typed *Error
			if !errors.As(err, &typed) {
				t.Errorf("%T is no Error", err)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// TestSlowSnapshot: the first reply with all rows may take longer than others.
func TestSlowSnapshot(t *testing.T) {
	for snapshot, op := range map[time.Duration]string{0: "monitor_cond", ovsdbtest.Patience: "update"} {
		cfg := bridges(actor(t, actDBs, actSchema, slowly+actBridge))
		cfg.Inactivity, cfg.Snapshot = 300*time.Millisecond, snapshot
		_, r := run(t, cfg)
		var err error
		r.await("that it has stalled", func(r *recorder) bool { err = r.err; return lost(r) })
		var typed *Error
		if !errors.As(err, &typed) || !errors.Is(err, ErrStalled) || typed.Op != op {
			t.Errorf("with %v for the snapshot: %v", snapshot, err)
		}
	}
}

func TestServersEchoRequestsAreAnswered(t *testing.T) {
	client, server := net.Pipe()
	w := newWire(client, ovsdbtest.Patience, 1<<20)
	defer w.close()
	go func() { _, _ = w.next(context.Background(), nil) }() // ends with the connection
	if _, err := io.WriteString(server, `{"method":"echo","params":["x"],"id":"e1"}`); err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.NewDecoder(server).Decode(&m); err != nil {
		t.Fatal(err)
	}
	if e, null := m["error"]; m["id"] != "e1" || e != nil || !null || len(m["result"].([]any)) != 1 {
		t.Errorf("reply: %v", m)
	}
}

func TestMessageSizeIsBounded(t *testing.T) {
	b := &budget{from: endless{}, left: 1000}
	n, err := io.Copy(io.Discard, b)
	if n != 1000 || !errors.Is(err, ErrProtocol) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func manyRows(n int) string {
	var rows []string
	for i := range n {
		rows = append(rows, fmt.Sprintf(`"u%d":{"initial":{}}`, i))
	}
	return strings.Join(rows, ",")
}

// A set or map does not grow without end.
func TestValuesAreBounded(t *testing.T) {
	full := make([]string, maxAtoms-1)
	for i := range full {
		full[i] = strconv.Itoa(i)
	}
	for difference, fits := range map[string]bool{`"x"`: true, `["set",["x","y"]]`: false, `["set",["x","y","0"]]`: true} {
		set := slices.Clone(full)
		r := reader{data: []byte(difference)}
		if r.difference(reflect.ValueOf(&set).Elem()); (r.err == nil) != fits {
			t.Errorf("%s: %v", difference, r.err)
		}
	}
}

// FuzzUpdate reads anything as the content of a database and as changes to it, from either
// kind of monitor. What was told before stays as it was.
func FuzzUpdate(f *testing.F) {
	f.Add([]byte(`{"T":{"u":{"initial":{"text":"a","texts":["set",["b","c"]],"pairs":["map",[["k","v"]]],"refs":["uuid","u"],"three":["set",[1,2]]}}}}`),
		[]byte(`{"T":{"u":{"modify":{"texts":["set",["c","d"]],"pairs":["map",[["k","v"],["l","w"]]],"counts":["map",[["a",1]]],"numbers":7,"three":1,"may_text":["set",[]],"alone":"x"}}}}`))
	f.Add([]byte(`{"T":{"u":{"new":{"text":"a","real":1.5,"flag":true}},"v":{"insert":{}}}}`), []byte(`{"T":{"u":{"old":{}},"v":{"delete":null}}}`))
	f.Add([]byte(`{"T":{"m":{"initial":{"text":[],"flag":true}}}}`), []byte(`{"x":{}}`))
	var served schema
	if err := json.Unmarshal([]byte(everySchema), &served); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		tables, err := newTables(every("unix:/").Tables, 100)
		if err != nil {
			t.Fatal(err)
		}
		m := monitor{}
		if m.tables, err = served.fit(tables); err != nil {
			t.Fatal(err)
		}
		if _, err := m.apply(first); err != nil {
			return
		}
		before := m.all()
		text := fmt.Sprintf("%+v", copies(before))
		batch, err := m.apply(second)
		if after := fmt.Sprintf("%+v", copies(before)); after != text {
			t.Errorf("rows that were told have changed:\n%s\n%s", text, after)
		}
		if err != nil {
			return
		}
		r := newRecorder(t)
		r.Synced(before)
		if len(batch) > 0 {
			r.Changed(batch)
		}
		if got, want := fmt.Sprintf("%+v", copies(m.all())), fmt.Sprintf("%+v", kept(r)); got != want {
			t.Errorf("the changes make\n%s\nwant\n%s", want, got)
		}
	})
}

// copies returns the rows themselves.
func copies(b Batch) map[string]everything {
	rows := map[string]everything{}
	for _, c := range b {
		rows[c.UUID] = *c.New.(*everything)
	}
	return rows
}

func kept(r *recorder) map[string]everything {
	rows := map[string]everything{}
	for uuid, row := range r.rows["T"] {
		rows[uuid] = *row.(*everything)
	}
	return rows
}

// What a server said before it went wrong is told.
func TestLastChangeIsTold(t *testing.T) {
	cfg := bridges(actor(t, actDBs, actSchema, actEmpty, told("update2", `{"Bridge":{"u":{"insert":{"name":"br0"}}}}`)+`{}`))
	cfg.MinBackoff = time.Hour
	_, r := run(t, cfg)
	r.await("the error", lost)
	if len(r.told) != 1 || r.bridge("br0") == nil {
		t.Errorf("told was %+v", r.told)
	}
}
