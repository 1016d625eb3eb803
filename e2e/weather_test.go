package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// backWithin is how long a session may be away whose path did not change.
const backWithin = 2 * time.Second

// running is a connection whose data is an elephant for as long as a story lasts.
type running struct {
	*flow
	w        *harness.Pair
	listener *harness.Peer
	agent    *harness.Agent
}

// startRunning starts an agent and, with machine B's listener, an elephant, and
// returns when that is offloaded.
func startRunning(w *harness.Pair, sport uint16, flags ...string) (*running, connection) {
	w.T.Helper()
	a := startAgent(w.World, append(modest, flags...)...)
	l := w.B.Listen(w.T, "tcp", 9000, false)
	r := &running{elephantFlow(w, "tcp", sport), w, l, a}
	return r, offloaded(w.World, r.tuple)
}

// back waits until the connection is offloaded as another session than it was, and
// returns that and when its rules were in.
func (r *running) back(old connection) (connection, time.Time) {
	r.w.T.Helper()
	var now connection
	harness.Within(r.w.T, patience, r.tuple+" is offloaded again", func() error {
		now = connection{State: "not followed"}
		for _, c := range connections(r.w.World) {
			if c.Tuple == r.tuple {
				now = c
			}
		}
		if now.State != "offloaded" || now.ID == old.ID {
			return fmt.Errorf("%+v", now)
		}
		return nil
	})
	return now, r.agent.Logged(r.w.T, patience, "installed", "session", now.ID, "error", "<nil>").Time
}

// arrives ends the connection and compares what was sent with what has arrived.
func (r *running) arrives() {
	r.w.T.Helper()
	r.Do(1, "fin")
	r.arrived()
}

// arrived compares what was sent over a connection that ends with what has arrived.
func (r *running) arrived() {
	t := r.w.T
	t.Helper()
	n := r.listener.Conn(r.from)
	r.Event(patience, 1, "error") // of the write that it has interrupted
	got := r.listener.Event(patience, n, "eof")
	if sent := r.Report(1); sent.Sent != got.Received || sent.SentCRC != got.RecvCRC || sent.Sent == 0 {
		t.Errorf("sent %+v, arrived %+v", sent, got)
	}
}

// pairs fails unless there are exactly the two rules of each session that is shown
// as offloaded, and of no other.
func pairs(t testing.TB, w *harness.World, limit time.Duration) {
	t.Helper()
	harness.Within(t, limit, "two rules for each session", func() error {
		offloaded := map[string]bool{}
		for _, s := range sessions(w) {
			if s.State == "offloaded" {
				offloaded[s.ID] = true
			}
		}
		count := map[string]int{}
		lines, _ := audit(w)
		for _, l := range lines {
			count[l.Session]++
		}
		var errs []error
		for id, n := range count {
			if n != 2 || !offloaded[id] {
				errs = append(errs, fmt.Errorf("%d rules of %s", n, id))
			}
		}
		if len(count) != len(offloaded) {
			errs = append(errs, fmt.Errorf("rules of %d sessions, %d are shown", len(count), len(offloaded)))
		}
		return errors.Join(errs...)
	})
}
