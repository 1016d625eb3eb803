package client

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Conn is one connection to a server of a database, to read and write at will: what Client is
// not. It does not connect again. It is used by one goroutine at a time.
type Conn struct {
	wire     *wire
	endpoint Endpoint
	database string
	changed  bool
}

// Dial connects to that of Config.Remotes that serves the database and is, in a cluster, its
// leader; or where none is to the first that is not cut off from the others. All are asked at
// once, so that one that does not answer costs no time unless it is needed. Of servers that are
// in no cluster, each with a database of its own, it takes the one that answers first. Its errors are
// those of the connections, each an *Error. Tables and the limits for them are not used.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	cfg = cfg.withDefaults()
	remotes, err := ParseRemotes(cfg.Remotes)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := make([]candidate, len(remotes))
	asked := make(chan *candidate, len(remotes))
	for i := range all {
		go func() {
			all[i].conn, all[i].leader, all[i].err = dialOne(ctx, cfg, remotes[i])
			asked <- &all[i]
		}()
	}
	var leader *Conn
	for range all {
		if c := <-asked; c.leader && leader == nil {
			leader = c.conn
			cancel() // the others are not needed
		}
	}
	if leader != nil {
		closeOthers(all, leader)
		return leader, nil
	}
	return follower(all)
}

// candidate is a server that was asked.
type candidate struct {
	conn   *Conn // nil: it is of no use
	leader bool
	err    error
}

// closeOthers ends all connections but one.
func closeOthers(all []candidate, one *Conn) {
	for _, c := range all {
		if c.conn != one {
			c.conn.Close()
		}
	}
}

// follower returns the first that can be used.
func follower(all []candidate) (*Conn, error) {
	var failures error
	for _, c := range all {
		if c.err == nil {
			closeOthers(all, c.conn)
			return c.conn, nil
		}
		failures = both(failures, c.err)
	}
	return nil, failures
}

// both is errors.Join in one line.
func both(a, b error) error {
	if a == nil {
		return b
	}
	return fmt.Errorf("%w; %w", a, b)
}

func dialOne(ctx context.Context, cfg Config, remote Endpoint) (c *Conn, leader bool, err error) {
	failed := func(op string, err error) (*Conn, bool, error) {
		return nil, false, &Error{Endpoint: remote, Database: cfg.Database, Op: op, Err: err}
	}
	if err := remote.check(cfg.TLS); err != nil {
		return nil, false, err
	}
	connecting, cancel := context.WithTimeout(ctx, cfg.Inactivity)
	defer cancel()
	conn, err := remote.dial(connecting, cfg.TLS)
	if err != nil {
		return failed("connect", err)
	}
	c = &Conn{wire: newWire(conn, cfg.Inactivity, cfg.MaxMessage), endpoint: remote, database: cfg.Database}
	leader, op, err := c.check(ctx)
	if err != nil {
		c.Close()
		return failed(op, err)
	}
	return c, leader, nil
}

// check reports whether the server is the one to write to.
func (c *Conn) check(ctx context.Context) (leader bool, op string, err error) {
	var served []string
	if err := c.wire.call(ctx, "list_dbs", []any{}, &served, c.notify); err != nil {
		return false, "list_dbs", err
	}
	if !slices.Contains(served, c.database) {
		return false, "list_dbs", fmt.Errorf("%w %s (it serves %.200q)", ErrNoDatabase, c.database, served)
	}
	if !slices.Contains(served, serverDatabase) {
		return true, "", nil // before clusters
	}
	look := map[string]any{"Database": map[string]any{"columns": []string{"name", "model", "connected", "leader"}}}
	var databases databaseUpdates
	if err := c.wire.call(ctx, "monitor", []any{serverDatabase, serverWatch, look}, &databases, c.notify); err != nil {
		return false, "monitor", err
	}
	row := databases.of(c.database)
	if row == nil {
		return false, "monitor", fmt.Errorf("%w %s", ErrNoDatabase, c.database)
	}
	return row.Leader, "monitor", row.check()
}

// databaseUpdates are <table-updates> of the database _Server (RFC 7047, section 4.1.6).
type databaseUpdates struct {
	Database map[string]struct{ New *databaseRow }
}

type databaseRow struct {
	serverRow
	Leader bool
}

// of returns what is said of one database; nil: nothing is.
func (u databaseUpdates) of(name string) *databaseRow {
	for _, d := range u.Database {
		if d.New != nil && d.New.Name == name {
			return d.New
		}
	}
	return nil
}

// Close ends the connection. A nil Conn has none.
func (c *Conn) Close() {
	if c != nil {
		c.wire.close()
	}
}

// Endpoint is the server that it is connected to.
func (c *Conn) Endpoint() Endpoint { return c.endpoint }

// call carries out a method of RFC 7047, section 4.1.
func (c *Conn) call(ctx context.Context, method string, params, result any) error {
	if err := c.wire.call(ctx, method, params, result, c.notify); err != nil {
		return &Error{Endpoint: c.endpoint, Database: c.database, Op: method, Err: err}
	}
	return nil
}

// Schema returns the database's schema (RFC 7047, section 3.2).
func (c *Conn) Schema(ctx context.Context) (json.RawMessage, error) {
	var schema json.RawMessage
	err := c.call(ctx, "get_schema", []string{c.database}, &schema)
	return schema, err
}

// Transact carries out operations, which are what encoding/json makes the objects of RFC 7047,
// section 5.2, of, as one transaction. It returns a result for each, among which there may be
// errors, "null" for those behind a failed one, and where the transaction as a whole was refused
// one more. If an error is returned, the transaction may or may not have been carried out.
func (c *Conn) Transact(ctx context.Context, operations ...any) ([]json.RawMessage, error) {
	var results []json.RawMessage
	err := c.call(ctx, "transact", append([]any{c.database}, operations...), &results)
	return results, err
}

// Watch has the server tell of all changes of columns, by table, from now on. It is called at
// most once.
func (c *Conn) Watch(ctx context.Context, columns map[string][]string) error {
	requests := map[string]any{}
	for table, list := range columns {
		requests[table] = map[string]any{"columns": list, "select": map[string]bool{"initial": false}}
	}
	var nothing json.RawMessage
	return c.call(ctx, "monitor", []any{c.database, rowsWatch, requests}, &nothing)
}

// Changed waits until the server has told of a change since the last call.
func (c *Conn) Changed(ctx context.Context) error {
	for !c.changed {
		m, err := c.wire.next(ctx, nil)
		if err == nil {
			err = c.notify(m)
		}
		if err != nil {
			return &Error{Endpoint: c.endpoint, Database: c.database, Op: "update", Err: err}
		}
	}
	c.changed = false
	return nil
}

func (c *Conn) notify(m message) error {
	switch m.Method {
	case "update":
		return c.update(m.Params)
	case "monitor_canceled":
		return fmt.Errorf("%w %s any more: it ended the monitor", ErrNoDatabase, c.database)
	}
	return fmt.Errorf("%w: unexpected message (method %.64q, id %.64s)", ErrProtocol, m.Method, m.ID)
}

// The names of the monitors.
const (
	serverWatch = "server"
	rowsWatch   = "watch"
)

// update notes a change. A server that was cut off from its cluster answers no transaction before it
// is back, which may be never, and tells of no change.
func (c *Conn) update(params json.RawMessage) error {
	var id, updates json.RawMessage
	if err := json.Unmarshal(params, &[]any{&id, &updates}); err != nil {
		return fmt.Errorf("%w: parameters of update: %w", ErrProtocol, err)
	}
	if string(id) != `"`+serverWatch+`"` {
		c.changed = true
		return nil
	}
	var databases databaseUpdates
	if err := json.Unmarshal(updates, &databases); err != nil {
		return fmt.Errorf("%w: parameters of update: %w", ErrProtocol, err)
	}
	if row := databases.of(c.database); row != nil {
		return row.check()
	}
	return nil
}
