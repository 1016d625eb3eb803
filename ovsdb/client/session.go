package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// session is what is known on one connection.
type session struct {
	client  *Client
	wire    *wire
	handler Handler
	server  *monitor // of database _Server; nil where there is none
	rows    *monitor // of our database
	then    int      // how many functions wait for the conditions that rows were read with
	batch   Batch    // not told yet
}

// start checks that the server serves the database and is no stale one, reads all that is
// monitored, and has changes sent from then on.
func (s *session) start(ctx context.Context) (op string, err error) {
	database := s.client.cfg.Database
	var served []string
	if err := s.wire.call(ctx, "list_dbs", []any{}, &served, s.notify); err != nil {
		return "list_dbs", err
	}
	if !slices.Contains(served, database) {
		return "list_dbs", fmt.Errorf("%w %s (it serves %.200q)", ErrNoDatabase, database, served)
	}
	if slices.Contains(served, serverDatabase) {
		if s.server, op, err = s.monitor(ctx, serverDatabase, serverTables(database), nil); err != nil {
			return op, err
		}
		if err := s.checkServer(); err != nil {
			return "monitor_cond", err
		}
		if err := s.checkPosition(ctx); err != nil {
			return "transact", err
		}
	}
	where, then := s.client.conditions.current()
	s.then = then
	s.wire.probe = s.client.cfg.Snapshot
	defer func() { s.wire.probe = s.client.cfg.Inactivity }()
	s.rows, op, err = s.monitor(ctx, database, s.client.cfg.Tables, where)
	return op, err
}

// run tells what was read, and changes until the connection ends.
func (s *session) run(ctx context.Context) error {
	s.client.transactions.set(true)
	defer s.endTransactions()
	s.handler.Synced(s.rows.all())
	s.client.conditions.inForce(s.then)
	defer s.notePosition()
	if err := s.askPosition(); err != nil {
		return err
	}
	for {
		m, err := s.wire.next(ctx, s.client.conditions.wake)
		switch {
		case errors.Is(err, errWoken):
			if err = s.changeConditions(ctx); err == nil {
				err = s.sendTransactions()
			}
		case err == nil:
			err = s.notifyAll(m)
		}
		told := s.tell() // also what came before an error
		if err == nil && told {
			err = s.askPosition()
		}
		if err != nil {
			return err
		}
	}
}

// tell hands over what has come in, if anything has.
func (s *session) tell() bool {
	if len(s.batch) == 0 {
		return false
	}
	s.handler.Changed(s.batch)
	s.batch = nil
	return true
}

// maxUpdates bounds how many updates are told at once.
const maxUpdates = 256

// notifyAll carries out a notification and those that have come in behind it.
func (s *session) notifyAll(m message) error {
	for range maxUpdates {
		if err := s.notify(m); err != nil {
			return err
		}
		var more bool
		if m, more = s.wire.poll(); !more {
			return nil
		}
	}
	return s.notify(m)
}

// notify carries out one notification.
func (s *session) notify(m message) error {
	switch m.Method {
	case "update", "update2":
		r := &reader{data: m.Params}
		r.enter('[')
		id, updates := r.skip(), r.skip()
		if r.end(']'); r.err != nil {
			return fmt.Errorf("%w: parameters of %s: %w", ErrProtocol, m.Method, r.err)
		}
		return s.update(m.Method, id, updates)
	case "monitor_canceled":
		return fmt.Errorf("%w %s any more: it ended the monitor", ErrNoDatabase, s.client.cfg.Database)
	}
	return fmt.Errorf("%w: unexpected message (method %.64q, id %.64s)", ErrProtocol, m.Method, m.ID)
}

func (s *session) update(method string, id, updates []byte) error {
	switch {
	case s.server.receives(method, id):
		if _, err := s.server.apply(updates); err != nil {
			return err
		}
		return s.checkServer()
	case s.rows.receives(method, id):
		batch, err := s.rows.apply(updates)
		s.batch = append(s.batch, batch...)
		return err
	}
	return fmt.Errorf("%w: %s of an unknown monitor %.64s", ErrProtocol, method, id)
}
