package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// transferPort is where machine B listens for transfers.
const transferPort = 9000

// transfer is a TCP connection from machine A of a pair to B, over which data goes
// from A to B.
type transfer struct {
	w      *harness.Pair
	A, B   *harness.Peer
	a, b   int // its number at either end
	sport  uint16
	tuple  string
	filter []string // for conntrack(8)
	total  int64    // bytes that A was told to send
}

// newTransfer opens a connection to the peer of B that listens on transferPort.
func newTransfer(w *harness.Pair, listener *harness.Peer, sport uint16) *transfer {
	w.T.Helper()
	from, to := netip.AddrPortFrom(w.A.IP4, sport), netip.AddrPortFrom(w.B.IP4, transferPort)
	c := &transfer{
		w: w, A: w.A.Dial(w.T, "tcp", to, sport, 1), B: listener, a: 1, sport: sport,
		tuple:  fmt.Sprintf("tcp,%s,%s", from, to),
		filter: []string{"-p", "tcp", "--orig-port-src", fmt.Sprint(sport)},
	}
	c.b = listener.Conn(from)
	return c
}

func (c *transfer) send(bytes int64) {
	c.total += bytes
	c.A.Do(c.a, fmt.Sprintf("send %d", bytes))
}

// grow sends at an elephant's rate for longer than an agent needs to see it.
func (c *transfer) grow() {
	const bytes, rate = 6_000_000, 1_500_000
	c.total += bytes
	c.A.Do(c.a, fmt.Sprintf("send %d %d", bytes, rate))
}

// offload sends until the agent has installed the rules, and returns the session.
func (c *transfer) offload(t *testing.T, a *harness.Agent) (session string) {
	t.Helper()
	c.grow()
	return c.installed(t, a)
}

// installed waits until the agent has installed the rules, and returns the session.
func (c *transfer) installed(t *testing.T, a *harness.Agent) (session string) {
	t.Helper()
	session = a.Logged(t, patience, "install", "connection", c.tuple).Attrs["session"]
	a.Logged(t, patience, "installed", "session", session, "error", "<nil>")
	return session
}

// arrived waits until everything has been sent and has arrived, and returns what
// either end says of that.
func (c *transfer) arrived(t *testing.T) (sent, received harness.Event) {
	t.Helper()
	sent = c.A.EventWith(5*time.Minute, c.a, "sent", func(e harness.Event) bool { return e.Sent == c.total })
	harness.Within(t, patience, "all has arrived", func() error {
		if received = c.B.Report(c.b); received.Received != c.total {
			return fmt.Errorf("%d of %d bytes", received.Received, c.total)
		}
		return nil
	})
	return sent, received
}

// bypassed is how many bytes from A to B the rule for them has taken.
func (c *transfer) bypassed() (bytes int64) {
	c.w.T.Helper()
	for _, r := range c.rules() {
		if r.Dev == c.w.A.Rep {
			bytes += int64(r.Bytes())
		}
	}
	return bytes
}

// rules are those of this connection.
func (c *transfer) rules() []harness.Filter {
	c.w.T.Helper()
	var rules []harness.Filter
	for _, r := range c.w.Rules() {
		if r.Keys["src_port"] == float64(c.sport) || r.Keys["dst_port"] == float64(c.sport) {
			rules = append(rules, r)
		}
	}
	return rules
}
