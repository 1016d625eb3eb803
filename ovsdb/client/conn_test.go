package client

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

func dialed(t *testing.T, remotes string) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), Config{Remotes: remotes, Database: "Open_vSwitch"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func operation(op, table string, more map[string]any) map[string]any {
	o := map[string]any{"op": op, "table": table}
	for k, v := range more {
		o[k] = v
	}
	return o
}

func TestConn(t *testing.T) {
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	c := dialed(t, list("unix:"+s.Dir+"/nothing", s.Endpoint()))
	if c.Endpoint().String() != s.Endpoint() {
		t.Errorf("connected to %s", c.Endpoint())
	}
	var schema struct{ Name string }
	data, err := c.Schema(t.Context())
	if err != nil || json.Unmarshal(data, &schema) != nil || schema.Name != "Open_vSwitch" {
		t.Errorf("schema %.100s: %v", data, err)
	}
	results, err := c.Transact(t.Context(), operation("insert", "Queue", map[string]any{"row": map[string]any{"dscp": 3}}),
		operation("insert", "Queue", map[string]any{"row": map[string]any{"dscp": 300}}), map[string]any{"op": "comment", "comment": "x"})
	if err != nil || len(results) != 3 || !strings.Contains(string(results[1]), "constraint violation") || string(results[2]) != "null" {
		t.Errorf("results %s: %v", results, err)
	}
}

// Changed tells of what came after Watch, also between two calls, and of nothing else.
func TestConnChanged(t *testing.T) {
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	c, writer := dialed(t, s.Endpoint()), s.Dial("Open_vSwitch")
	queue := operation("insert", "Queue", map[string]any{"row": map[string]any{}})
	writer.Transact(queue)
	if err := c.Watch(t.Context(), map[string][]string{"Queue": {"dscp"}}); err != nil {
		t.Fatal(err)
	}
	nothing := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := c.Changed(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a change that was none: %v", err)
		}
	}
	nothing()
	writer.Transact(operation("insert", "QoS", map[string]any{"row": map[string]any{}}))
	nothing()
	writer.Transact(queue)
	if _, err := c.Transact(t.Context(), queue); err != nil { // reads what the server has told before
		t.Fatal(err)
	}
	if err := c.Changed(t.Context()); err != nil {
		t.Error(err)
	}
	s.Kill()
	for range 3 { // our own change, perhaps, then the end
		if err := c.Changed(t.Context()); err != nil {
			return
		}
	}
	t.Error("the end of the server was not told")
}

// Each failed remote is in the error, which is one line.
func TestDialFails(t *testing.T) {
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	_, err := Dial(t.Context(), Config{Remotes: list("unix:"+s.Dir+"/nothing", s.Endpoint()), Database: "None"})
	var typed *Error
	if !errors.Is(err, os.ErrNotExist) || !errors.Is(err, ErrNoDatabase) || !errors.As(err, &typed) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	for _, remotes := range []string{"", "x", "ssl:127.0.0.1:1"} {
		if c, err := Dial(t.Context(), Config{Remotes: remotes, Database: "Open_vSwitch"}); err == nil {
			c.Close()
			t.Errorf("%q is no error", remotes)
		}
	}
}

// database is what a server says that it is asked of its database.
func database(columns string) string {
	return `{"id":2,"result":{"Database":{"u":{"new":{"name":"Open_vSwitch","model":"clustered",` + columns + `}}}},"error":null}`
}

// A server that hangs, and one that talks nonsense, take their time and no more.
func TestDialHostile(t *testing.T) {
	for name, lines := range map[string][]string{
		"silent":    {"+"},
		"no JSON":   {"x"},
		"no list":   {`{"id":1,"result":{},"error":null}`},
		"detached":  {`{"id":1,"result":["Open_vSwitch","_Server"],"error":null}`, database(`"connected":false`)},
		"no rows":   {`{"id":1,"result":["Open_vSwitch","_Server"],"error":null}`, `{"id":2,"result":{},"error":null}`},
		"null rows": {`{"id":1,"result":["Open_vSwitch","_Server"],"error":null}`, `{"id":2,"result":{"Database":{"u":null}},"error":null}`},
		"a request": {`{"method":"steal","params":[],"id":1}`},
		"hangs up":  {},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Remotes: actor(t, lines...), Database: "Open_vSwitch", Inactivity: 100 * time.Millisecond}
			c, err := Dial(t.Context(), cfg)
			var typed *Error
			if err == nil {
				c.Close()
			}
			if !errors.As(err, &typed) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Of a cluster's members the leader is chosen, and where there is none whoever is connected.
func TestDialLeader(t *testing.T) {
	served := `{"id":1,"result":["Open_vSwitch","_Server"],"error":null}`
	member := func(leader string) string {
		return actor(t, served, database(`"connected":true,"leader":`+leader))
	}
	follower, other, leader := member("false"), member("false"), member("true")
	for remotes, want := range map[string]string{
		list(follower, other, leader): leader, list(leader, follower): leader, list(follower, other): follower,
	} {
		c, err := Dial(t.Context(), Config{Remotes: remotes, Database: "Open_vSwitch"})
		if err != nil {
			t.Fatal(err)
		}
		if c.Endpoint().String() != want {
			t.Errorf("%s: connected to %s", remotes, c.Endpoint())
		}
		c.Close() // an actor has one guest at a time
	}
}

// A member that is cut off from its cluster answers no transaction any more: it is left in the
// middle of one, and of waiting.
func TestConnDetached(t *testing.T) {
	for name, wait := range map[string]func(*Conn) error{
		"transaction": func(c *Conn) error {
			_, err := c.Transact(t.Context(), operation("insert", "Queue", map[string]any{"row": map[string]any{}}))
			return err
		},
		"change": func(c *Conn) error {
			if err := c.Watch(t.Context(), map[string][]string{"Queue": {"dscp"}}); err != nil {
				return err
			}
			return c.Changed(t.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := cluster(t)
			member := all.Followers(all.Leader())[0]
			c := dialed(t, member.Endpoint())
			all.Cut(member)
			begin := time.Now()
			if err := wait(c); !errors.Is(err, ErrDetached) {
				t.Errorf("%v", err)
			}
			t.Logf("noticed after %v", time.Since(begin))
		})
	}
}

// A server that does not answer costs no time where another one is the leader.
func TestDialAsksAllAtOnce(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	const patience = time.Minute
	begin := time.Now()
	c, err := Dial(t.Context(), Config{Remotes: list("tcp:"+silent.Addr().String(), s.Endpoint()), Database: "Open_vSwitch", Inactivity: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if took := time.Since(begin); c.Endpoint().String() != s.Endpoint() || took > patience/2 {
		t.Errorf("connected to %s after %v", c.Endpoint(), took)
	}
	if _, err := c.Schema(t.Context()); err != nil {
		t.Error(err)
	}
}
