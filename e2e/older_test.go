package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// chatty are thresholds that a connection passes which says a line of 64 bytes every
// other millisecond: it can be stopped at any moment, and be counted to the byte.
var chatty = []string{"--elephant-bytes=50000", "--elephant-rate=5000", "--leave-rate=1000"}

const chat = "chat 2"

// A connection that is older than the agent: nobody has seen its handshake, yet
// its packets tell where it goes.
func TestOlderThanAgent(t *testing.T) {
	betterOnEswsim(t)
	w := harness.SwitchedPair(t)
	listener := w.B.Listen(t, "tcp", transferPort, false)
	c := newTransfer(w, listener, 41000)
	c.A.Do(c.a, chat)
	c.slowly(t, 100_000)

	a := startAgent(w.World, chatty...)
	session := c.installed(t, a)
	t.Logf("offloaded %v after the agent was ready", a.Logged(t, patience, "installed").Time.Sub(a.Logged(t, patience, "ready").Time))
	c.explained(t, "is OFFLOADED", "elephant")
	if n := stat(w.World, "tap_sightings"); n == 0 {
		t.Error("offloaded, and no packet was looked at")
	}
	eyes, bypassed := watchSlowPath(w.World, c.filter, c.sport, transferPort, w.A, w.B), c.bypassed()
	harness.Within(t, patience, "50 kB past the slow path", func() error {
		if n := c.bypassed() - bypassed; n < 50_000 {
			return fmt.Errorf("%d bytes", n)
		}
		return nil
	})
	eyes.saw(3)
	c.finish(t, a, session)
	a.Stop()
	nothingLeft(t, w.World)
}

// Connections that begin while the agent is down and end when it is back, beside
// one that it had offloaded before.
func TestAgentRestart(t *testing.T) {
	betterOnEswsim(t)
	w := harness.SwitchedPair(t)
	listener := w.B.Listen(t, "tcp", transferPort, false)
	a := startAgent(w.World, chatty...)
	old := newTransfer(w, listener, 41000)
	old.A.Do(old.a, chat)
	old.installed(t, a)
	a.Stop()
	nothingLeft(t, w.World)
	old.slowly(t, old.bytes()+50_000)

	elephant, mouse := newTransfer(w, listener, 41001), newTransfer(w, listener, 41002)
	elephant.A.Do(elephant.a, chat)
	mouse.A.Do(mouse.a, "chat 500")
	elephant.slowly(t, 50_000)

	a = startAgent(w.World, chatty...)
	first, second := old.installed(t, a), elephant.installed(t, a)
	elephant.explained(t, "is OFFLOADED", "elephant")
	mouse.explained(t, "NOT OFFLOADED", "mouse")
	rulesWithin(t, w.World, patience, 4)
	elephant.finish(t, a, second)
	elephant.explained(t, "NOT OFFLOADED", "closing")
	old.finish(t, a, first)
	mouse.A.Do(mouse.a, "rst")
	listener.Event(patience, mouse.b, "reset")
	rulesWithin(t, w.World, patience, 0)
	if list := sessions(w.World); len(list) != 0 {
		t.Errorf("sessions: %v", list)
	}
	a.Stop()
	nothingLeft(t, w.World)
}

// slowly waits until conntrack has counted so many bytes.
func (c *transfer) slowly(t *testing.T, bytes uint64) {
	t.Helper()
	harness.Within(t, patience, fmt.Sprintf("%s: %d bytes in the slow path", c.tuple, bytes), func() error {
		if n := c.bytes(); n < bytes {
			return fmt.Errorf("%d bytes", n)
		}
		return nil
	})
}

func (c *transfer) bytes() uint64  { return c.w.Entry(c.filter...).Bytes() }
func (c *transfer) packets() int64 { return int64(c.w.Entry(c.filter...).Packets()) }

// explained checks what flowshuntctl why says of the connection, and that its
// exit status says the same.
func (c *transfer) explained(t *testing.T, headline string, more ...string) {
	t.Helper()
	out, err := c.w.TryCtl("--socket="+socket(c.w.World), "why", c.tuple)
	if (err == nil) != (headline == "is OFFLOADED") {
		t.Errorf("why %s: %v", c.tuple, err)
	}
	for _, want := range append(more, headline) {
		if !strings.Contains(out, want) {
			t.Errorf("why %s does not say %q:\n%s", c.tuple, want, out)
		}
	}
}

// finish ends the chat with FINs, and checks that all of it has arrived and that
// the session has left.
func (c *transfer) finish(t *testing.T, a *harness.Agent, session string) {
	t.Helper()
	c.A.Do(c.a, "stop")
	c.A.Do(c.a, "fin")
	got := c.B.Event(patience, c.b, "eof")
	if sent := c.A.Report(c.a); got.Received != sent.Sent || got.RecvCRC != sent.SentCRC {
		t.Errorf("sent %+v, received %+v", sent, got)
	}
	c.B.Do(c.b, "fin")
	c.A.Event(patience, c.a, "eof")
	a.Logged(t, patience, "remove", "session", session, "cause", "closing")
	a.Logged(t, patience, "removed", "session", session, "error", "<nil>")
	if rules := c.rules(); len(rules) != 0 {
		t.Errorf("rules left: %v", rules)
	}
}

// stat is a counter of the agent that has no labels.
func stat(w *harness.World, name string) uint64 {
	w.T.Helper()
	var list []struct {
		Name  string `json:"name"`
		Value uint64 `json:"value"`
	}
	out := ctl(w, "stats", "--format=json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		w.T.Fatalf("%v in %s", err, out)
	}
	for _, s := range list {
		if s.Name == name {
			return s.Value
		}
	}
	w.T.Fatalf("no %s in %s", name, out)
	return 0
}
