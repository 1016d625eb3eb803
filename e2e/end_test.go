package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// closingTimeout is that of conntrack for every state after ESTABLISHED, in these
// stories: the kernel's own are up to two minutes.
const closingTimeout = 5 * time.Second

// ending is how a connection ends: by whose packet.
type ending struct {
	order  string // fin or rst
	atPeer bool   // by B, which the data goes to; else by A
}

func (e ending) String() string {
	if e.atPeer {
		return e.order + " from the receiver"
	}
	return e.order + " from the sender"
}

var endings = []ending{{"rst", false}, {"rst", true}, {"fin", false}, {"fin", true}}

// FIN and RST take the slow path although the data does not: the other end learns
// of it, conntrack understands it, the rules go.
func TestEnd(t *testing.T) {
	betterOnEswsim(t)
	endAfter(t, 100_000_000, endings)
}

// The same after more than 2 GiB in one direction, by which all that conntrack knows of
// the window has become wrong.
func TestEndAfterWrap(t *testing.T) {
	betterOnEswsim(t)
	all := endings[:1]
	if slow() {
		all = endings
	}
	endAfter(t, 1<<31+50_000_000, all)
}

func endAfter(t *testing.T, bytes int64, endings []ending) {
	w := harness.SwitchedPair(t)
	for _, state := range []string{"fin_wait", "close_wait", "last_ack", "time_wait", "close"} {
		setSysctl(w.World, "net.netfilter.nf_conntrack_tcp_timeout_"+state, fmt.Sprint(closingTimeout.Seconds()))
	}
	// all data goes before the first end: a connection that waits is not to leave
	a := startAgent(w.World, "--idle=5m", "--leave-after=5m")
	invalid := invalidPackets(w)
	listener := w.B.Listen(t, "tcp", transferPort, false)
	all := make([]*transfer, len(endings))
	for i := range endings {
		all[i] = newTransfer(w, listener, uint16(41000+i))
		all[i].grow()
	}
	sessions := make([]string, len(endings))
	before, eyes := make([]int64, len(endings)), make([]*onlooker, len(endings))
	for i, c := range all {
		sessions[i] = c.installed(t, a)
		eyes[i] = watchSlowPath(w.World, c.filter, c.sport, transferPort, w.A, w.B)
		before[i] = c.bypassed()
		c.send(bytes)
	}
	for _, c := range all {
		c.arrived(t)
	}
	ended := make([]time.Time, len(endings))
	for i, e := range endings {
		counted(t, e.String()+": all bytes past the slow path", bytes, func() int64 { return all[i].bypassed() - before[i] })
		eyes[i].saw(3)
		ended[i] = all[i].end(t, a, e, sessions[i])
	}
	for i, c := range all {
		c.leavesConntrack(t, ended[i])
	}
	if n := invalidPackets(w) - invalid; n != 0 {
		t.Errorf("conntrack found %d packets invalid", n)
	}
	if flows, err := w.Megaflows("+inv", "eth_type(0x0800)"); err != nil || len(flows) != 0 {
		t.Errorf("the pipeline has seen invalid packets: %v %v", flows, err)
	}
	rulesWithin(t, w.World, patience, 0)
	a.Stop()
	nothingLeft(t, w.World)
}

// end ends the transfer, checks what each side of the story sees of that, and
// returns when the last packet was sent.
func (c *transfer) end(t *testing.T, a *harness.Agent, e ending, session string) time.Time {
	t.Helper()
	near, n, far, f := c.A, c.a, c.B, c.b
	if e.atPeer {
		near, n, far, f = far, f, near, n
	}
	near.Do(n, e.order)
	at := near.Event(patience, n, e.order).At
	c.farEnd(t, e, far.Event(patience, f, map[string]string{"fin": "eof", "rst": "reset"}[e.order]))

	removed := a.Logged(t, patience, "removed", "session", session)
	if took := removed.Time.Sub(at); took > time.Second || removed.Attrs["error"] != "<nil>" {
		t.Errorf("%s: removed after %v, want at most 1s; %v", e, took, removed)
	} else {
		t.Logf("%s: rules out after %v", e, took)
	}
	if rules := c.rules(); len(rules) != 0 {
		t.Errorf("%s: rules left: %v", e, rules)
	}
	if cause := a.Logged(t, patience, "remove", "session", session).Attrs["cause"]; cause != "closing" {
		t.Errorf("%s: left for %s", e, cause)
	}
	if e.order == "fin" {
		far.Do(f, "fin")
		at = far.Event(patience, f, "fin").At
		near.Event(patience, n, "eof")
	}
	entries, err := c.w.Conntrack(c.filter...)
	if err != nil || len(entries) > 0 && entries[0].State == "ESTABLISHED" {
		t.Errorf("%s: conntrack has not understood: %+v %v", e, entries, err)
	} else if len(entries) > 0 {
		t.Logf("%s: conntrack: %s", e, entries[0].State)
	}
	return at
}

// farEnd compares what arrived before the end with what was sent.
func (c *transfer) farEnd(t *testing.T, e ending, told harness.Event) {
	t.Helper()
	sent, received := told, c.B.Report(c.b)
	if !e.atPeer {
		sent, received = c.A.Report(c.a), told
	}
	if sent.Sent != c.total || received.Received != c.total || sent.SentCRC != received.RecvCRC {
		t.Errorf("%s: sent %+v, received %+v, want %d bytes", e, sent, received, c.total)
	}
}

// leavesConntrack waits for the entry's end, which an ESTABLISHED one would reach
// after 300 s at the earliest.
func (c *transfer) leavesConntrack(t *testing.T, since time.Time) {
	t.Helper()
	const slack = 3 * time.Second // for looking at it
	harness.Within(t, time.Until(since.Add(closingTimeout+slack)), c.tuple+" gone from conntrack", func() error {
		entries, err := c.w.Conntrack(c.filter...)
		if err == nil && len(entries) != 0 {
			err = fmt.Errorf("%+v", entries)
		}
		return err
	})
}

var invalidCounter = regexp.MustCompile(`\binvalid=(\d+)`)

// invalidPackets is conntrack's own count, on all processors, in all zones.
func invalidPackets(w *harness.Pair) (sum int) {
	w.T.Helper()
	counters := invalidCounter.FindAllStringSubmatch(w.Run(w.T, "conntrack", "-S"), -1)
	if len(counters) == 0 {
		w.T.Fatal("conntrack -S tells of no processor")
	}
	for _, m := range counters {
		n, _ := strconv.Atoi(m[1])
		sum += n
	}
	return sum
}
