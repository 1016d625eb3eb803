package client

import (
	"context"
	"encoding/json"
	"fmt"
)

// logPosition is how far a cluster was seen.
type logPosition struct {
	cid   string
	index int
}

// positionRow is the rest of table Database. It is asked for, and not monitored: index grows with each
// change of the database, also with those that do not concern us, and every client would be told.
type positionRow struct {
	CID   *string `ovsdb:"cid"`   // of the cluster
	Index *int    `ovsdb:"index"` // of the last entry of the cluster's log
}

// positionID marks the responses to questions that nobody waits for.
var positionID = json.RawMessage(`"position"`)

// clustered reports whether the server's database has a position.
func (s *session) clustered() bool { return s.server != nil && s.serverRow().Model == "clustered" }

func (s *session) positionQuestion() []any {
	return []any{serverDatabase, map[string]any{"op": "select", "table": "Database", "columns": []string{"cid", "index"},
		"where": []any{[]any{"name", "==", s.client.cfg.Database}}}}
}

// checkPosition returns an error for a server that serves what is not up to date.
func (s *session) checkPosition(ctx context.Context) error {
	if !s.clustered() {
		return nil
	}
	var answer json.RawMessage
	if err := s.wire.call(ctx, "transact", s.positionQuestion(), &answer, s.notify); err != nil {
		return err
	}
	now, err := parsePosition(answer)
	if err != nil {
		return err
	}
	return s.client.seen.check(now)
}

// askPosition asks how far the server is now: at least as far as what it has told.
func (s *session) askPosition() error {
	if !s.clustered() {
		return nil
	}
	question, err := json.Marshal(s.positionQuestion())
	if err != nil {
		return err
	}
	return s.wire.send(message{Method: "transact", Params: question, ID: positionID})
}

// notePosition keeps the last answer for the next server.
func (s *session) notePosition() {
	if now, err := parsePosition(s.wire.position); err == nil {
		_ = s.client.seen.check(now) // one that went back is the next one's to notice
	}
}

// parsePosition reads the answer to a question. One without a position, as older servers give it, is the
// zero value.
func parsePosition(answer json.RawMessage) (logPosition, error) {
	var results []*struct{ Rows []json.RawMessage }
	if err := json.Unmarshal(answer, &results); err != nil {
		return logPosition{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if len(results) == 0 || results[0] == nil || len(results[0].Rows) != 1 {
		return logPosition{}, nil
	}
	t, err := newTable(Table{Name: "Database", Row: (*positionRow)(nil)}, 1)
	if err != nil {
		return logPosition{}, err
	}
	r := &reader{data: results[0].Rows[0]}
	row := t.read("", t.initial, r, false).(*positionRow)
	if r.err != nil {
		return logPosition{}, fmt.Errorf("%w: %w", ErrProtocol, r.err)
	}
	if row.CID == nil || row.Index == nil {
		return logPosition{}, nil
	}
	return logPosition{*row.CID, *row.Index}, nil
}

// check returns an error for a position behind this one, which it else becomes. Another cluster
// than before begins anew.
func (p *logPosition) check(now logPosition) error {
	switch {
	case now == logPosition{}:
		return nil
	case now.cid == p.cid && now.index < p.index:
		return fmt.Errorf("%w: it is at entry %d of the log of cluster %.64s, another one was at %d", ErrStale, now.index, now.cid, p.index)
	}
	*p = now
	return nil
}
