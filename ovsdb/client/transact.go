package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// Errors of Transact, for errors.Is.
var (
	// ErrNotConnected: nothing was sent.
	ErrNotConnected = errors.New("there is no connection to the server")
	// ErrUnanswered: the connection ended first. The transaction was carried out, or not.
	ErrUnanswered = errors.New("the connection ended before the server answered")
)

// Result is what a server says of one operation that it carried out (RFC 7047, section 5.2).
type Result struct {
	Count int             `json:"count"` // rows of an update, mutate or delete
	UUID  [2]string       `json:"uuid"`  // of an insert: "uuid", and the row's
	Rows  json.RawMessage `json:"rows"`  // of a select
}

// TransactionError is a transaction that the server refused: nothing of it was carried out.
type TransactionError struct {
	Operation int    // the first is 0; as many as there are: the commit
	Name      string // "constraint violation", "timed out", ... (RFC 7047, section 3.1)
	Details   string
}

// Error says which operation failed and why.
func (e *TransactionError) Error() string {
	return fmt.Sprintf("operation %d: %.100s (%.300s)", e.Operation, e.Name, e.Details)
}

// maxTransactions is how many may wait at a time.
const maxTransactions = 64

// transaction is one that waits to be sent, and then for its answer.
type transaction struct {
	params json.RawMessage
	answer chan answer // room for one
}

type answer struct {
	message message
	err     error
}

// transactions are those that wait to be sent. There are none without a connection.
type transactions struct {
	mu      sync.Mutex
	open    bool
	waiting []*transaction
}

// Transact carries out operations (RFC 7047, section 5.2: values that encode to JSON) as one
// transaction, by the connection that Run has, and returns a result for each. It waits for
// the answer until ctx ends; what was sent by then may still be carried out. Any number of
// goroutines may call it, but not a Handler: reading goes on while it waits.
//
// Without a connection, it returns ErrNotConnected at once.
func (c *Client) Transact(ctx context.Context, operations ...any) ([]Result, error) {
	params, err := json.Marshal(append([]any{c.cfg.Database}, operations...))
	if err != nil {
		return nil, err
	}
	t := &transaction{params, make(chan answer, 1)}
	if err := c.transactions.add(t); err != nil {
		return nil, fmt.Errorf("transaction: %w", err)
	}
	select {
	case c.conditions.wake <- struct{}{}:
	default: // it is awake
	}
	select {
	case a := <-t.answer:
		if a.err != nil {
			return nil, fmt.Errorf("transaction: %w", a.err)
		}
		return results(a.message)
	case <-ctx.Done():
		return nil, fmt.Errorf("transaction: no answer: %w", context.Cause(ctx))
	}
}

func (t *transactions) add(one *transaction) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.open {
		return ErrNotConnected
	}
	if len(t.waiting) >= maxTransactions {
		return fmt.Errorf("%d others wait to be sent", len(t.waiting))
	}
	t.waiting = append(t.waiting, one)
	return nil
}

// set begins to take transactions, or ends that; it returns those that wait.
func (t *transactions) set(open bool) []*transaction {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := t.waiting
	t.open, t.waiting = open, nil
	return waiting
}

// endTransactions tells all that wait that there will be no answer.
func (s *session) endTransactions() {
	for _, t := range s.client.transactions.set(false) {
		t.answer <- answer{err: ErrNotConnected}
	}
	for _, t := range s.wire.unanswered {
		t.answer <- answer{err: ErrUnanswered}
	}
	s.wire.unanswered = nil
}

// sendTransactions sends those that wait.
func (s *session) sendTransactions() error {
	for _, t := range s.client.transactions.set(true) {
		s.wire.lastID++
		id := fmt.Sprintf(`"t%d"`, s.wire.lastID)
		if s.wire.unanswered == nil {
			s.wire.unanswered = map[string]*transaction{}
		}
		s.wire.unanswered[id] = t
		if err := s.wire.send(message{Method: "transact", Params: t.params, ID: json.RawMessage(id)}); err != nil {
			return err
		}
	}
	return nil
}

// answered passes on the answer to a transaction, and reports whether m is one.
func (w *wire) answered(m message) bool {
	t := w.unanswered[string(m.ID)]
	if t == nil {
		return false
	}
	delete(w.unanswered, string(m.ID))
	t.answer <- answer{message: m}
	return true
}

// results reads an answer: a result of each operation, nulls behind one that failed, or one
// more where the commit failed (RFC 7047, section 4.1.3).
func results(m message) ([]Result, error) {
	var list []*struct {
		Result
		Error   string `json:"error"`
		Details string `json:"details"`
	}
	if err := m.decode(&list); err != nil {
		return nil, fmt.Errorf("transaction: %w", err)
	}
	all := make([]Result, len(list))
	for i, r := range list {
		switch {
		case r == nil:
			return nil, fmt.Errorf("transaction: %w: operation %d has no result", ErrProtocol, i)
		case r.Error != "":
			return nil, fmt.Errorf("transaction: %w", &TransactionError{i, r.Error, r.Details})
		}
		all[i] = r.Result
	}
	return all, nil
}
