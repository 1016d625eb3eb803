package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// op is an operation on table Bridge.
func op(name string, more ...any) map[string]any {
	o := map[string]any{"op": name, "table": "Bridge"}
	for i := 0; i < len(more); i += 2 {
		o[more[i].(string)] = more[i+1]
	}
	return o
}

func TestTransact(t *testing.T) {
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	s.VSCtl("init", "--", "add-br", "br0")
	c, r := run(t, bridges(s.Endpoint()))
	r.await("br0", hasBridge("br0"))
	where := []any{Condition{"name", "==", "br0"}}
	done, err := c.Transact(t.Context(),
		op("update", "where", where, "row", map[string]any{"external_ids": Map{"a": "1"}}),
		op("select", "where", where, "columns", []string{"name"}))
	if err != nil || len(done) != 2 || done[0].Count != 1 || !strings.Contains(string(done[1].Rows), "br0") {
		t.Fatalf("%+v, %v", done, err)
	}
	r.await("what was written", func(r *recorder) bool { return r.bridge("br0").ExternalIDs["a"] == "1" })

	_, err = c.Transact(t.Context(), map[string]any{"op": "comment", "comment": "x"}, op("update", "where", where, "row", map[string]any{"fail_mode": "none"}))
	var refused *TransactionError
	if !errors.As(err, &refused) || refused.Operation != 1 || refused.Name != "constraint violation" {
		t.Errorf("%v", err)
	}
	if st := c.State(); !st.Synced {
		t.Errorf("a transaction that is refused ends the connection: %+v", st)
	}
}

// TestTransactWhileReading shows that many can write at a time, and that reading goes on.
func TestTransactWhileReading(t *testing.T) {
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	s.VSCtl("init", "--", "add-br", "br0")
	c, r := run(t, bridges(s.Endpoint()))
	r.await("br0", hasBridge("br0"))
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			_, err := c.Transact(t.Context(), op("mutate", "where", []any{Condition{"name", "==", "br0"}},
				"mutations", []any{[]any{"external_ids", "insert", Map{fmt.Sprint(i): "x"}}}))
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r.await("all", func(r *recorder) bool { return len(r.bridge("br0").ExternalIDs) == 20 })
}

// TestTransactWithoutServer shows what a writer is told when there is no server, none that
// answers, and none any more.
func TestTransactWithoutServer(t *testing.T) {
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	s.VSCtl("init", "--", "add-br", "br0")
	c, r := run(t, bridges(s.Endpoint()))
	r.await("br0", hasBridge("br0"))

	s.Signal(syscall.SIGSTOP)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Transact(short, op("comment", "comment", "x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	ended := make(chan error)
	go func() {
		_, err := c.Transact(t.Context(), op("comment", "comment", "x"))
		ended <- err
	}()
	s.Kill()
	if err := <-ended; !errors.Is(err, ErrUnanswered) && !errors.Is(err, ErrNotConnected) {
		t.Errorf("the end of the server: %v", err)
	}
	r.await("the loss", lost)
	if _, err := c.Transact(t.Context(), op("comment", "comment", "x")); !errors.Is(err, ErrNotConnected) {
		t.Errorf("no server: %v", err)
	}
	s.Start()
	r.await("the new server", synced)
	if _, err := c.Transact(t.Context(), op("comment", "comment", "x")); err == nil {
		t.Error("a comment in a table")
	}
}
