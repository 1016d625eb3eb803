package client

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
)

// conditions are which rows are asked for now.
type conditions struct {
	mu    sync.Mutex
	where map[string][]Condition // by table
	dirty map[string]bool        // tables whose conditions the server was not told
	then  []func()               // to call once the present conditions are in force
	wake  chan struct{}
}

func newConditions(tables []Table) *conditions {
	c := &conditions{where: map[string][]Condition{}, dirty: map[string]bool{}, wake: make(chan struct{}, 1)}
	for _, t := range tables {
		c.where[t.Name] = t.Where
	}
	return c
}

// SetWhere changes Table.Where of a table, on this connection and all to come. The rows that
// come and go by it are told by Handler.Changed; after that, or after Handler.Synced of a new
// connection, then is called by the same goroutine, if it is not nil. A handler may call
// SetWhere.
func (c *Client) SetWhere(table string, where []Condition, then func()) {
	c.conditions.set(table, slices.Clone(where), then)
}

func (c *conditions) set(table string, where []Condition, then func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.where[table] = where
	c.dirty[table] = true
	if then != nil {
		c.then = append(c.then, then)
	}
	select {
	case c.wake <- struct{}{}:
	default: // it is awake
	}
}

// current returns all conditions, and how many functions wait for those.
func (c *conditions) current() (where map[string][]Condition, then int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.dirty)
	return maps.Clone(c.where), len(c.then)
}

// changed returns the conditions that the server was not told.
func (c *conditions) changed() (where map[string][]Condition, then int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	where = map[string][]Condition{}
	for table := range c.dirty {
		where[table] = c.where[table]
	}
	clear(c.dirty)
	return where, len(c.then)
}

// inForce calls the functions that have waited for the conditions now in force.
func (c *conditions) inForce(n int) {
	c.mu.Lock()
	then := slices.Clone(c.then[:n])
	c.then = slices.Delete(c.then, 0, n)
	c.mu.Unlock()
	for _, f := range then {
		f()
	}
}

// changeConditions tells the server of new conditions and the handler of what they bring.
// The server sends that before its reply (ovsdb-server(7), section 4.1.13).
func (s *session) changeConditions(ctx context.Context) error {
	where, then := s.client.conditions.changed()
	requests := s.rows.changes(where)
	if s.rows.conditional && len(requests) > 0 {
		id := s.rows.database
		var nothing json.RawMessage
		if err := s.wire.call(ctx, "monitor_cond_change", []any{id, id, requests}, &nothing, s.notify); err != nil {
			return err
		}
	}
	s.tell()
	s.client.conditions.inForce(then)
	return nil
}

// conditionChange is <monitor-cond-update-request>. No condition is one that all rows meet.
type conditionChange struct {
	Where []Condition `json:"where"`
}

func (m *monitor) changes(where map[string][]Condition) map[string][]conditionChange {
	requests := map[string][]conditionChange{}
	for _, t := range m.tables {
		if conditions, changed := where[t.Name]; changed {
			requests[t.Name] = []conditionChange{{Where: append([]Condition{}, t.where(conditions)...)}}
		}
	}
	return requests
}
