package userspace

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

const (
	patience = 20 * time.Second
	// flowTimeout is --flow-timeout in these stories: flows of an agent that died end
	// within it, and the second that OVS takes to notice.
	flowTimeout = 3 * time.Second

	sport, dport = 40000, 9000
)

// world is two machines on a bridge of the userspace datapath that tracks connections.
type world struct {
	*harness.Pair
}

// startNode starts a node of the test's own, or skips the test where there can be none.
func startNode(t *testing.T, name string) *harness.Node {
	t.Helper()
	dependOnPrograms(t)
	for _, program := range []string{"ip", "ovs-vswitchd", "ovsdb-server", "ovs-vsctl", "ovs-ofctl", "ovs-appctl", "conntrack", "sysctl", "ethtool", "ping"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("missing:", program)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("missing: root, for network namespaces")
	}
	node, err := harness.StartNode(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Stop)
	return node
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := harness.On(t, startNode(t, "us"))
	w.UserspaceBridge("br0")
	plain := harness.VMConfig{NoOffload: true} // OVS hands on checksums that are not there yet
	p := &world{&harness.Pair{World: w, A: w.AddVM("br0", "vm1", plain), B: w.AddVM("br0", "vm2", plain), Zone: harness.PairZone}}
	w.Switch("br0", harness.Pipeline{Zone: p.Zone})
	p.A.Ping(t, p.B.IP4)
	return p
}

func (w *world) agent(flags ...string) *harness.Agent {
	w.T.Helper()
	return w.Agent(append([]string{
		"--mode=enforce", "--ports=all", "--log-level=debug", "--ovsdb=" + w.OVSDB(), "--ovs-rundir=" + w.Dir,
		"--control-socket=" + filepath.Join(w.Dir, "control.sock"), "--poll-interval=500ms",
		"--flow-timeout=" + flowTimeout.String(), "--userspace-ct-liberal",
	}, flags...)...)
}

// ours returns the flows of br0 that are rules.
func (w *world) ours() (list []string) {
	w.T.Helper()
	out := w.Run(w.T, "ovs-ofctl", "-O", "OpenFlow14", "dump-flows", "br0", "cookie=0xf105470100000000/0xffffffff00000000")
	for line := range strings.Lines(out) {
		if strings.Contains(line, "cookie=") {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

func (w *world) flowsWithin(limit time.Duration, n int) {
	w.T.Helper()
	harness.Within(w.T, limit, fmt.Sprintf("%d flows of ours", n), func() error {
		if all := w.ours(); len(all) != n {
			return fmt.Errorf("%d:\n%s", len(all), strings.Join(all, "\n"))
		}
		return nil
	})
}

// tracked returns how many packets went through conntrack.
func (w *world) tracked() (n int64) {
	w.T.Helper()
	for line := range strings.Lines(w.Run(w.T, "ovs-ofctl", "dump-flows", "br0", "table=1")) {
		var packets int64
		if _, rest, ok := strings.Cut(line, "n_packets="); ok {
			_, _ = fmt.Sscanf(rest, "%d", &packets)
		}
		n += packets
	}
	return n
}

// transfer is a connection from A to B with data on its way.
type transfer struct {
	w      *world
	a, b   *harness.Peer
	number int // at B's end
	total  int64
}

func (w *world) transfer() *transfer {
	w.T.Helper()
	listener := w.B.Listen(w.T, "tcp", dport, false)
	x := &transfer{w: w, b: listener, a: w.A.Dial(w.T, "tcp", netip.AddrPortFrom(w.B.IP4, dport), sport, 1)}
	x.number = listener.Conn(netip.AddrPortFrom(w.A.IP4, sport))
	return x
}

// send sends at a rate, in bytes per second.
func (x *transfer) send(bytes, rate int64) {
	x.total += bytes
	x.a.Do(1, fmt.Sprintf("send %d %d", bytes, rate))
}

// arrived waits until all that was sent is there, unchanged.
func (x *transfer) arrived() {
	x.w.T.Helper()
	sent := x.a.EventWith(time.Minute, 1, "sent", func(e harness.Event) bool { return e.Sent == x.total })
	harness.Within(x.w.T, patience, "all has arrived", func() error {
		if got := x.b.Report(x.number); got.Received != x.total || got.RecvCRC != sent.SentCRC {
			return fmt.Errorf("%d of %d bytes, checksum %08x, want %08x", got.Received, x.total, got.RecvCRC, sent.SentCRC)
		}
		return nil
	})
}

// goesOn waits until so many bytes more have arrived.
func (x *transfer) goesOn(bytes int64) {
	x.w.T.Helper()
	before := x.b.Report(x.number).Received
	harness.Within(x.w.T, patience, fmt.Sprintf("%d bytes more", bytes), func() error {
		if now := x.b.Report(x.number).Received; now < before+bytes {
			return fmt.Errorf("%d", now-before)
		}
		return nil
	})
}

func tuple(w *world) string { return fmt.Sprintf("tcp,%s:%d,%s:%d", w.A.IP4, sport, w.B.IP4, dport) }

// TestElephant: an elephant leaves conntrack for a pair of flows. Its agent is killed:
// the flows end by themselves, and it goes on where it came from. Another agent takes
// it over once more, and leaves nothing when it stops.
func TestElephant(t *testing.T) {
	w := newWorld(t)
	foreign := "cookie=0x7,priority=61701,udp,tp_dst=1,actions=drop"
	w.Run(t, "ovs-ofctl", "add-flow", "br0", foreign)
	a := w.agent()
	x := w.transfer()
	x.send(52_000_000, 4_000_000)
	a.Logged(t, patience, "installed", "error", "<nil>")
	w.flowsWithin(patience, 2)
	shown(t, w)

	before := w.tracked()
	x.goesOn(4_000_000)
	if after := w.tracked(); after-before > 100 {
		t.Errorf("conntrack saw %d packets more", after-before)
	}

	// Kept for longer than they would live by themselves.
	x.goesOn(4_000_000 * int64(1+flowTimeout/time.Second))
	w.flowsWithin(0, 2)

	a.Signal(t, syscall.SIGKILL)
	killed := time.Now()
	w.flowsWithin(flowTimeout+2*time.Second, 0)
	t.Logf("the flows ended %v after their agent", time.Since(killed).Round(10*time.Millisecond))
	before = w.tracked()
	x.goesOn(2_000_000)
	if after := w.tracked(); after-before < 100 {
		t.Errorf("conntrack saw %d packets more, want those of 2 MB", after-before)
	}

	b := w.agent()
	b.Logged(t, patience, "installed", "error", "<nil>")
	w.flowsWithin(patience, 2)
	x.arrived()
	b.Stop()
	w.flowsWithin(0, 0)
	if out := w.Run(t, "ovs-ofctl", "dump-flows", "br0", "udp"); !strings.Contains(out, "cookie=0x7") {
		t.Errorf("somebody else's flow is gone:\n%s", out)
	}
}

// shown: flowshuntctl says who executes the rules.
func shown(t *testing.T, w *world) {
	t.Helper()
	var status struct {
		Ports []struct {
			Name, Eswitch string
			Usable        bool
		}
	}
	out := w.Ctl("--socket="+filepath.Join(w.Dir, "control.sock"), "show", "--format=json")
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	found := 0
	for _, p := range status.Ports {
		if p.Usable && p.Eswitch == "openflow/br0" {
			found++
		}
	}
	if found != 2 {
		t.Errorf("%d usable ports of openflow/br0, want 2:\n%s", found, out)
	}
}

// TestTakenOver: an agent that was killed leaves flows that the next one takes over
// before their time is up, and then looks after. Somebody deletes one: the session
// leaves, and comes back.
func TestTakenOver(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	x := w.transfer()
	x.send(40_000_000, 4_000_000)
	session := a.Logged(t, patience, "installed", "error", "<nil>").Attrs["session"]
	w.flowsWithin(patience, 2)
	a.Signal(t, syscall.SIGKILL)
	a.Wait(t, patience)
	b := w.agent()
	b.Logged(t, patience, "took over sessions of an earlier agent", "sessions", "1")
	before := w.tracked()
	x.goesOn(4_000_000 * int64(1+flowTimeout/time.Second))
	w.flowsWithin(0, 2)
	if after := w.tracked(); after-before > 100 {
		t.Errorf("conntrack saw %d packets more", after-before)
	}

	w.Run(t, "ovs-ofctl", "-O", "OpenFlow14", "del-flows", "br0", w.ours()[0][:len("cookie=0xf105470100000000")]+"/-1")
	b.Logged(t, 2*time.Second, "remove", "session", session, "cause", "rules-vanished")
	b.Logged(t, patience, "installed", "error", "<nil>")
	w.flowsWithin(patience, 2)
	x.arrived()
	b.Stop()
	w.flowsWithin(0, 0)
}

// TestPipelineChanges: OVS would drop the packets now. That is seen although our own
// flows, which stand before that, say otherwise.
func TestPipelineChanges(t *testing.T) {
	w := newWorld(t)
	a := w.agent()
	x := w.transfer()
	x.send(8_000_000, 2_000_000)
	session := a.Logged(t, patience, "installed", "error", "<nil>").Attrs["session"]
	w.flowsWithin(patience, 2)
	w.Run(t, "ovs-ofctl", "add-flow", "br0", fmt.Sprintf("table=1,priority=60000,tcp,tp_dst=%d,actions=drop", dport))
	a.Logged(t, 3*time.Second, "remove", "session", session, "cause", "path-dropped")
	w.flowsWithin(time.Second, 0)
	w.Run(t, "ovs-ofctl", "--strict", "del-flows", "br0", fmt.Sprintf("table=1,priority=60000,tcp,tp_dst=%d", dport))
	x.arrived()
}

// slowly skips a story that is told only with FLOWSHUNT_SLOW, as in make test-all.
func slowly(t *testing.T) {
	t.Helper()
	if os.Getenv("FLOWSHUNT_SLOW") == "" {
		t.Skip("FLOWSHUNT_SLOW is not set")
	}
}

// TestUDP: its entry would expire within 30 s, but lives on while its packets pass it by.
func TestUDP(t *testing.T) {
	slowly(t)
	w := newWorld(t)
	w.agent()
	w.B.Listen(t, "udp", dport, true)
	a := w.A.Dial(t, "udp", netip.AddrPortFrom(w.B.IP4, dport), sport, 1)
	a.Do(1, "send 40000000 1000000")
	w.flowsWithin(patience, 2)
	began := time.Now()
	harness.Within(t, 30*time.Second, "the entry is refreshed", func() error {
		out := w.Run(t, "ovs-appctl", "dpctl/dump-conntrack", "-m", "-s", "netdev@ovs-netdev")
		_, rest, found := strings.Cut(out, "udp,orig=(src="+w.A.IP4.String())
		if !found {
			t.Fatalf("it is gone:\n%s", out)
		}
		timeout := 0
		_, after, _ := strings.Cut(rest, "timeout=")
		_, _ = fmt.Sscanf(after, "%d", &timeout)
		if time.Since(began) < 16*time.Second || timeout < 20 {
			return fmt.Errorf("%d s left after %v", timeout, time.Since(began))
		}
		return nil
	})
	w.flowsWithin(0, 2)
}

// TestNotWithout: where the datapath checks TCP sequence numbers and may not be told
// otherwise, and where somebody else looks after the bridge, nothing is installed.
func TestNotWithout(t *testing.T) {
	w := newWorld(t)
	a := w.agent("--userspace-ct-liberal=false")
	x := w.transfer()
	x.send(6_000_000, 2_000_000)
	harness.Within(t, patience, "it says why not", func() error {
		out, _ := w.TryCtl("--socket="+filepath.Join(w.Dir, "control.sock"), "why", tuple(w)) // it fails where there is no session
		if !strings.Contains(out, "ct-disable-tcp-seq-chk") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	x.arrived()
	w.flowsWithin(0, 0)
	w.Vsctl("set-controller", "br0", "punix:"+filepath.Join(w.Dir, "br0.controller"))
	harness.Within(t, patience, "the ports are refused", func() error {
		out := w.Ctl("--socket="+filepath.Join(w.Dir, "control.sock"), "show", "--ports")
		if strings.Count(out, "bridge-owned") < 2 {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	a.Stop()
}
