package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// detection is how long the agent may take to see that an inspector is away, by the
// decision about virtual wires: four intervals of a second between probes.
const detection = 4 * time.Second

// wired is a wire that an agent keeps, through Suricata.
type wired struct {
	*harness.Inspected
	agent *harness.Agent
	l     *harness.Peer
}

// wirePolicies offload what goes to transferPort when it has grown a little.
var wirePolicies = []string{"add-policy", "bulk", "100", "offload", "protocols=tcp", fmt.Sprintf("dst_ports=%d", transferPort),
	"elephant_bytes=400000", "elephant_rate=50000", "inspect_packets=10"}

// newWired makes the wire as an operator does, by the CLI.
func newWired(t *testing.T, mode string) *wired {
	t.Helper()
	cfg := forbid
	cfg.Set = streams
	w := &wired{Inspected: harness.InspectedPair(harness.New(t), cfg)}
	w.ServePolicies("--policies=none")
	w.policies(wirePolicies...)
	w.policies("add-wire", "w0", w.A.Rep, w.B.Rep, "--inspector", strings.Join(w.IPS.Ports[:], ","), "--fail-"+mode)
	w.agent = startAgent(w.World, "--db="+w.OVSDB(), "--mark-offload="+markOffload)
	w.wireIs(patience, "inspected")
	w.A.Ping(t, w.B.IP4)
	w.l = w.B.Listen(t, "tcp", transferPort, false)
	return w
}

// policies runs flowshuntctl on the policy database.
func (w *wired) policies(args ...string) string {
	w.T.Helper()
	return w.Ctl(append([]string{"--socket=" + socket(w.World), "--db=" + w.OVSDB()}, args...)...)
}

// wireIs waits until the agent says that the wire is in a state, and returns how long that
// took.
func (w *wired) wireIs(limit time.Duration, state string) time.Duration {
	w.T.Helper()
	start := time.Now()
	harness.Within(w.T, limit, "the wire is "+state, func() error {
		out := w.policies("--bare", "--columns=wires", "list", "Node")
		if !strings.Contains(out, state+" since ") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	return time.Since(start)
}

// open opens a connection to B and sends what is too little to be offloaded.
func (w *wired) open(sport uint16) *returning {
	w.T.Helper()
	c := &returning{newTransfer(w.Pair, w.l, sport), w.Inspected}
	c.send(100_000)
	c.whole()
	return c
}

// elephant makes one of it, and returns the session.
func (w *wired) elephant(c *returning) (session string) {
	t := w.T.(*testing.T)
	t.Helper()
	return c.transfer.offload(t, w.agent)
}

// trickle sends too slowly for an elephant: what is to go past the inspector has to be seen
// to come out of it.
func (c *returning) trickle() {
	const bytes, rate = 600_000, 40_000
	c.total += bytes
	c.A.Do(c.a, fmt.Sprintf("send %d %d", bytes, rate))
}

// inspects watches whether what is sent on a connection comes to Suricata, all or none of it.
func (w *wired) inspects(c *returning, what string, all bool) {
	t := w.T
	t.Helper()
	const bytes, size = 3_000_000, 1448
	c.whole()
	entered, start := w.IPS.Entered(), time.Now()
	c.send(bytes)
	c.whole()
	n := w.IPS.Entered() - entered
	took := time.Since(start)
	t.Logf("%s: %d packets came to Suricata while %d bytes moved, in %v", what, n, bytes, took.Round(time.Millisecond))
	probes := 2 * uint64(took/time.Second+1)
	if all && n < bytes/size || !all && n > probes+3 {
		t.Errorf("%s: %d packets came to Suricata while %d bytes moved, %d of them probes", what, n, bytes, probes)
	}
}

// The first packets of a connection pass Suricata; after its verdict the rest goes past it,
// until it is to be inspected again. What Suricata blocks never does.
func TestWire(t *testing.T) {
	w := newWired(t, "closed")
	c := w.open(46001)
	session := w.elephant(c)
	c.whole()
	seen := w.IPS.TCP()
	w.inspects(c, "offloaded by a policy", false)
	if now := w.IPS.TCP(); seen < 400_000/1448 || now > seen+3 {
		t.Errorf("Suricata counted %d TCP packets before, %d after", seen, now)
	}

	ctl(w.World, "inspect", c.tuple)
	w.agent.Logged(t, patience, "removed", "session", session, "error", "<nil>")
	w.inspects(c, "inspected by order", true)
	if n := w.IPS.Dropped(c.sport); len(n) != 0 {
		t.Errorf("dropped of what returned: %v", n)
	}
	c.trickle()
	_, _ = w.TryCtl("--socket="+socket(w.World), "offload", c.tuple) // it says what is in its way as yet
	harness.Within(t, patience, "offloaded by order", func() error {
		if n := len(c.rules()); n != 2 {
			return fmt.Errorf("%d rules", n)
		}
		return nil
	})
	w.inspects(c, "offloaded by order", false)

	mouse := w.open(46002)
	mouse.trickle()
	w.mark(mouse, markOffload)
	session = mouse.installed(t, w.agent)
	w.inspects(mouse, "offloaded by its mark", false)
	mouse.A.Do(mouse.a, "fin")
	mouse.B.Event(patience, mouse.b, "eof")
	w.agent.Logged(t, patience, "removed", "session", session, "error", "<nil>")

	bad := w.open(46003)
	bad.A.Do(bad.a, "say "+forbidden)
	bad.dropped(t, "the word", "rules")
	w.mark(bad, markOffload) // at once: the agent has not seen yet that it is blocked
	bad.A.Do(bad.a, fmt.Sprintf("send %d", endless))
	bad.dropped(t, "what follows the word", "flow drop")
	w.never(bad)
}

// mark sets a mark in every entry of a connection.
func (w *wired) mark(c *returning, valueMask string) {
	w.T.Helper()
	var value, mask uint32
	if _, err := fmt.Sscanf(valueMask, "%v/%v", &value, &mask); err != nil {
		w.T.Fatal(err)
	}
	entries, err := w.Conntrack(c.filter...)
	if err != nil || len(entries) != 2 {
		w.T.Fatalf("%d entries, want one at each end: %v, %v", len(entries), entries, err)
	}
	for _, e := range entries {
		if err := w.SetMark(e, value, mask); err != nil {
			w.T.Fatal(err)
		}
	}
}

// never watches a blocked connection stay, although its mark asks for offload: it goes on
// being retransmitted, and only one end of the wire sees that.
func (w *wired) never(c *returning) {
	t := w.T
	t.Helper()
	drops := func() int { return c.w.IPS.Dropped(c.sport)["flow drop"] }
	before := drops()
	harness.Within(t, patience, "retransmissions, at several readings of the agent", func() error {
		if rules := c.rules(); len(rules) != 0 {
			t.Fatalf("what Suricata blocks: %v", rules)
		}
		if n := drops() - before; n < 5 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	for _, found := range connections(w.World) {
		if found.Tuple == c.tuple {
			t.Logf("blocked: %s for %s (%s), %d bytes in the slow path", found.State, found.Reason, found.Detail, found.SlowBytes)
		}
	}
	harness.Throughout(t, 10*pollInterval, "what Suricata blocks stays with it", func() error {
		if rules := c.rules(); len(rules) != 0 {
			return fmt.Errorf("%v", rules)
		}
		return nil
	})
}

// What runs when Suricata is killed: with fail-closed it stands still, leaves the eswitch, and
// goes on when Suricata is back. With fail-open what is offloaded stays, what is new passes
// and is inspected for its life.
func TestWireInspectorKilled(t *testing.T) {
	slowly(t)
	t.Run("closed", func(t *testing.T) {
		w := newWired(t, "closed")
		c := w.open(46101)
		session := w.elephant(c)
		c.whole()
		killed := w.kill()
		gone := w.agent.Logged(t, patience, "remove", "session", session)
		if cause := gone.Attrs["cause"]; cause != "inspector-down" {
			t.Errorf("it left for %s", cause)
		}
		w.detected(gone.Time.Sub(killed))
		w.wireIs(patience, "closed")
		w.agent.Logged(t, patience, "removed", "session", session, "error", "<nil>")
		c.send(1e6)
		harness.Throughout(t, 3*time.Second, "nothing passes", func() error {
			if got := c.B.Report(c.b); got.Received > c.total-1e6 {
				return fmt.Errorf("%d of %d bytes", got.Received, c.total)
			}
			return nil
		})
		w.back()
		c.whole()
		if n := w.IPS.Dropped(c.sport); len(n) != 0 {
			t.Errorf("dropped of what Suricata had forgotten: %v", n)
		}
		c.grow()
		harness.Within(t, patience, "offloaded again", func() error {
			if n := len(c.rules()); n != 2 {
				return fmt.Errorf("%d rules", n)
			}
			return nil
		})
		c.whole()
		w.inspects(c, "offloaded again", false)
	})
	t.Run("open", func(t *testing.T) {
		w := newWired(t, "open")
		c := w.open(46201)
		session := w.elephant(c)
		c.whole()
		killed := w.kill()
		w.wireIs(patience, "open")
		w.detected(time.Since(killed))
		past := c.bypassed()
		c.send(1e6)
		c.whole()
		if n := c.bypassed() - past; n < 1e6 {
			t.Errorf("%d of a million bytes past OVS", n)
		}
		fresh := w.open(46202)
		fresh.grow()
		fresh.whole()
		w.back()
		fresh.grow()
		fresh.whole()
		if rules := fresh.rules(); len(rules) != 0 {
			t.Errorf("what nobody had inspected is offloaded: %v", rules)
		}
		for _, l := range w.agent.Log() {
			if l.Msg == "remove" && l.Attrs["session"] == session && l.Attrs["cause"] != "idle" {
				t.Errorf("the offloaded session left: %v", l.Attrs)
			}
		}
	})
}

// kill kills Suricata and returns when.
func (w *wired) kill() time.Time {
	w.T.Helper()
	at := time.Now()
	w.IPS.Kill()
	return at
}

// back starts Suricata again.
func (w *wired) back() {
	w.T.Helper()
	w.IPS.Start()
	w.T.Logf("inspected again %v after Suricata's start", w.wireIs(patience, "inspected").Round(100*time.Millisecond))
}

func (w *wired) detected(took time.Duration) {
	w.T.Helper()
	w.T.Logf("detected after %v", took.Round(10*time.Millisecond))
	if took > detection+slack {
		w.T.Errorf("detected after %v, want %v", took, detection)
	}
}

// slack is for an emulated machine, which takes its time to say what it has seen.
const slack = 3 * time.Second
