package ovsdbtest

import (
	"encoding/json"
	"net"
	"testing"
)

// Conn is a connection that writes to a database: quicker than a process for each transaction.
type Conn struct {
	t        testing.TB
	conn     net.Conn
	replies  *json.Decoder
	database string
}

// Dial connects until the test ends.
func (s *Server) Dial(database string) *Conn {
	s.t.Helper()
	conn, err := net.Dial("unix", s.Socket)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return &Conn{s.t, conn, json.NewDecoder(conn), database}
}

// Transact carries out one transaction of operations (RFC 7047, section 5.2).
func (c *Conn) Transact(operations ...any) {
	c.t.Helper()
	for _, result := range c.Try(operations...) {
		if result["error"] != nil {
			c.t.Fatalf("transaction %v: %v", operations, result)
		}
	}
}

// Try carries out a transaction that may fail.
func (c *Conn) Try(operations ...any) []map[string]any {
	c.t.Helper()
	request := map[string]any{"method": "transact", "id": 1, "params": append([]any{c.database}, operations...)}
	var reply struct {
		Result []map[string]any
		Error  any
	}
	if err := json.NewEncoder(c.conn).Encode(request); err != nil {
		c.t.Fatal(err)
	}
	if err := c.replies.Decode(&reply); err != nil || reply.Error != nil {
		c.t.Fatalf("transaction %v: %v, %v", operations, reply.Error, err)
	}
	return reply.Result
}
