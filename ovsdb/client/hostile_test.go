package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path/filepath"
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
		if _, err := io.WriteString(conn, strings.TrimPrefix(line, "+")); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, conn)
}

const (
	chatter   = "echo requests, but no answer"
	actDBs    = `{"id":1,"result":["Open_vSwitch"],"error":null}`
	actSchema = `{"id":2,"result":{"tables":{"Open_vSwitch":{"columns":{}},"Bridge":{"columns":{"name":{}}},"Port":{"columns":{}},"Interface":{"columns":{}}}},"error":null}`
	actEmpty  = `{"id":3,"result":{},"error":null}`
)

// What ends the process in libovsdb's client, and more of the kind, is an error.
func TestHostileServer(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		want  error // nil = any
	}{
		"empty object":            {[]string{actDBs, actSchema, actEmpty, `+{}`}, ErrProtocol},
		"null":                    {[]string{actDBs, actSchema, actEmpty, "+null\n"}, ErrProtocol},
		"array":                   {[]string{`[]`}, ErrProtocol},
		"number":                  {[]string{"7\n"}, ErrProtocol},
		"update, no parameters":   {[]string{actDBs, actSchema, actEmpty, `+{"method":"update","id":null}`}, ErrProtocol},
		"update, one parameter":   {[]string{actDBs, actSchema, actEmpty, `+{"method":"update","params":[null],"id":null}`}, ErrProtocol},
		"update, other table":     {[]string{actDBs, actSchema, actEmpty, `+{"method":"update","params":[null,{"Queue":{"u":{"new":{}}}}],"id":null}`}, ErrProtocol},
		"empty array as value":    {[]string{actDBs, actSchema, `{"id":3,"result":{"Bridge":{"u":{"new":{"name":[]}}}},"error":null}`}, ErrProtocol},
		"unclosed set":            {[]string{actDBs, actSchema, `{"id":3,"result":{"Bridge":{"u":{"new":{"ports":["set"]}}}},"error":null}`}, ErrProtocol},
		"map of nothing":          {[]string{actDBs, actSchema, `{"id":3,"result":{"Bridge":{"u":{"new":{"external_ids":["map",[[]]]}}}},"error":null}`}, ErrProtocol},
		"number as name":          {[]string{actDBs, actSchema, `{"id":3,"result":{"Bridge":{"u":{"new":{"name":7}}}},"error":null}`}, ErrProtocol},
		"refused":                 {[]string{`{"id":1,"result":null,"error":"unknown method"}`}, nil},
		"result missing":          {[]string{`{"id":1}`}, ErrProtocol},
		"databases are an object": {[]string{`{"id":1,"result":{},"error":null}`}, ErrProtocol},
		"schema without tables":   {[]string{actDBs, `{"id":2,"result":{},"error":null}`}, ErrProtocol},
		"deep nesting":            {[]string{strings.Repeat("[", 20000)}, ErrProtocol},
		"monitor canceled":        {[]string{actDBs, actSchema, actEmpty, `+{"method":"monitor_canceled","params":[null],"id":null}`}, ErrNoDatabase},
		"answers nothing":         {[]string{``}, ErrStalled},
		"talks of other things":   {[]string{actDBs, chatter}, ErrStalled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := bridges(actor(t, test.lines...))
			cfg.Inactivity, cfg.MinBackoff = 300*time.Millisecond, 50*time.Millisecond
			c, r := run(t, cfg)
			r.await("an error", lost)
			err := c.State().Err
			var typed *Error
			if !errors.As(err, &typed) || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
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
