package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// monitor is a replica of some tables of a database that the server keeps up to date.
type monitor struct {
	database    string // also the name of the monitor, on its connection
	tables      []*table
	conditional bool // monitor_cond and update2; else monitor and update
}

// monitor reads what is there and has changes sent from then on. It prefers monitor_cond.
func (s *session) monitor(ctx context.Context, database string, tables []Table, where map[string][]Condition) (m *monitor, op string, err error) {
	var served schema
	if err := s.wire.call(ctx, "get_schema", []any{database}, &served, s.notify); err != nil {
		return nil, "get_schema", err
	}
	m = &monitor{database: database, conditional: true}
	if m.tables, err = newTables(tables, s.client.cfg.MaxRows); err != nil {
		return nil, "get_schema", err
	}
	if m.tables, err = served.fit(m.tables); err != nil {
		return nil, "get_schema", err
	}
	ask := func(method string, requests any) error {
		var rows json.RawMessage
		if err := s.wire.call(ctx, method, []any{database, database, requests}, &rows, s.notify); err != nil {
			return err
		}
		_, err := m.apply(rows)
		return err
	}
	err = ask("monitor_cond", m.requests(where))
	if errors.Is(err, errUnknownMethod) {
		m.conditional = false
		return m, "monitor", ask("monitor", m.requests(nil))
	}
	return m, "monitor_cond", err
}

// monitorRequest is <monitor-cond-request>, and without Where RFC 7047's <monitor-request>.
type monitorRequest struct {
	Columns []string    `json:"columns,omitempty"`
	Where   []Condition `json:"where,omitempty"`
}

// requests asks for the tables, as far as they are served.
func (m *monitor) requests(where map[string][]Condition) map[string][]monitorRequest {
	requests := map[string][]monitorRequest{}
	for _, t := range m.tables {
		requests[t.Name] = []monitorRequest{{Columns: t.columns, Where: t.where(where[t.Name])}}
	}
	return requests
}

// receives reports whether an update is one of this monitor.
func (m *monitor) receives(method string, id []byte) bool {
	return m != nil && m.conditional == (method == "update2") && string(id) == `"`+m.database+`"`
}

// apply carries out <table-updates> or <table-updates2> and returns what has changed. After
// an error the monitor is of no use.
func (m *monitor) apply(updates []byte) (Batch, error) {
	r := &reader{data: updates}
	byTable := make([]Batch, len(m.tables))
	for r.enter('{'); r.more('}'); {
		name := r.bytes()
		i := slices.IndexFunc(m.tables, func(t *table) bool { return t.Name == string(name) })
		if i < 0 {
			r.fail("table %.64q was not asked for", name)
			break
		}
		for r.enter('{'); r.more('}'); {
			uuid := r.text()
			c := m.tables[i].apply(uuid, r)
			if c.Old != nil || c.New != nil {
				byTable[i] = append(byTable[i], c)
			}
			r.within("table %s, row %.64q", m.tables[i].Name, uuid)
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, r.err)
	}
	for _, b := range byTable {
		slices.SortStableFunc(b, func(x, y Change) int { return strings.Compare(x.UUID, y.UUID) })
	}
	return slices.Concat(byTable...), nil
}

// all returns every row there is.
func (m *monitor) all() Batch {
	var batch Batch
	for _, t := range m.tables {
		batch = t.all(batch)
	}
	return batch
}
