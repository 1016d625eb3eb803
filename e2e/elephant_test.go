package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// elephantBytes is what an elephant has moved at least, by default.
const elephantBytes = 1 << 20

// An elephant leaves OVS and conntrack, the mice stay, and everything is gone when
// it ends.
func TestElephant(t *testing.T) {
	betterOnEswsim(t)
	onEach(t, elephant)
}

// In observe mode the decision is there, and nothing else.
func TestObserve(t *testing.T) {
	if slow() {
		onEach(t, observe)
		return
	}
	observe(t, harness.SwitchedPair(t))
}

// onEach tells a story on a switch and on a wire, with the agent's flags for it.
func onEach(t *testing.T, story func(t *testing.T, w *harness.Pair, flags ...string)) {
	t.Run("switch", func(t *testing.T) { story(t, harness.SwitchedPair(t)) })
	t.Run("wire", func(t *testing.T) {
		w := harness.WiredPair(t)
		story(t, w, fmt.Sprintf("--wires=%s:%s", w.A.Rep, w.B.Rep))
	})
}

// iperfConntrack is the elephant of these stories in conntrack(8)'s words.
var iperfConntrack = []string{"-p", "tcp", "--orig-port-src", "40000"}

func iperfTuple(w *harness.Pair) string {
	return fmt.Sprintf("tcp,%s:40000,%s:%d", w.A.IP4, w.B.IP4, harness.IperfPort)
}

func elephant(t *testing.T, w *harness.Pair, flags ...string) {
	ownMegaflows(w, 40000)
	a := startAgent(w.World, flags...)
	w.B.Iperf3Server(t)
	iperf := w.A.Iperf3(t, w.B.IP4, 40000, "-t", "90", "-R")
	below := lastBelow(t, w)
	if ready := a.Logged(t, patience, "ready").Time; ready.After(below) {
		below = ready
	}
	installed := a.Logged(t, patience, "installed", "error", "<nil>").Time
	if took := installed.Sub(below); took > 2*pollInterval {
		t.Errorf("offloaded %v after it was seen small, want at most %v", took, 2*pollInterval)
	} else {
		t.Logf("offloaded at most %v after it was an elephant", took)
	}
	bypasses(t, w)
	l := w.B.Listen(t, "tcp", transferPort, false)
	miceStay(t, w, l)
	if len(flags) == 0 || slow() { // once is enough: on the switch
		fileArrives(t, w, a, l)
	}
	iperf.Stop()
	rulesWithin(t, w.World, patience, 0)
	a.Stop()
	nothingLeft(t, w.World)
}

// lastBelow waits until conntrack has counted an elephant, and returns the last
// moment at which it surely had not.
func lastBelow(t *testing.T, w *harness.Pair) time.Time {
	t.Helper()
	var below time.Time
	harness.Within(t, patience, "an elephant in conntrack", func() error {
		at := time.Now()
		entries, err := w.Conntrack(iperfConntrack...)
		if err != nil || len(entries) == 1 && entries[0].Bytes() >= elephantBytes {
			return err
		}
		below = at
		return fmt.Errorf("entries: %+v", entries)
	})
	return below
}

// What the elephant's megaflows match, by where its packets enter.
const fromA, fromB = "tcp(src=40000", "dst=40000"

// ownMegaflows makes OVS keep megaflows of an elephant's own, by flows that tell its
// packets from others and treat them alike: those of iperf3's control connection, say.
func ownMegaflows(w *harness.Pair, sport uint16) {
	w.T.Helper()
	for _, port := range []string{"tp_src", "tp_dst"} {
		w.Run(w.T, "ovs-ofctl", "add-flow", "br0",
			fmt.Sprintf("table=0,priority=150,tcp,ct_state=-trk,%s=%d,actions=ct(table=1,zone=%d)", port, sport, w.Zone))
	}
}

// bypasses watches 5 s and 50 MB of the elephant go by, unseen.
func bypasses(t *testing.T, w *harness.Pair) {
	t.Helper()
	seen := watchSlowPath(w.World, iperfConntrack, 40000, harness.IperfPort, w.A, w.B)
	a, b := w.SlowPath(w.A, fromA), w.SlowPath(w.B, fromB)
	if len(a) == 0 || len(b) == 0 {
		t.Fatalf("no megaflow of the elephant: %v, %v", w.SlowPath(w.A), w.SlowPath(w.B))
	}
	start, since := moved(w), time.Now()
	harness.Within(t, 60*time.Second, "50 MB and 5 s past the slow path", func() error {
		if n := moved(w) - start; n < 50e6 || time.Since(since) < 5*time.Second {
			return fmt.Errorf("%d bytes in %v", n, time.Since(since))
		}
		return nil
	})
	ovs := harness.Grown(a, w.SlowPath(w.A, fromA)) + harness.Grown(b, w.SlowPath(w.B, fromB))
	t.Logf("%d MB moved in %v; conntrack saw %d packets of it, OVS %d", (moved(w)-start)/1e6, time.Since(since).Round(time.Second), seen.saw(3), ovs)
	if ovs > 3 {
		t.Errorf("OVS saw %d packets, want at most 3", ovs)
	}
}

// miceStay sends small traffic beside the elephant: the slow path sees all of it.
func miceStay(t *testing.T, w *harness.Pair, l *harness.Peer) {
	t.Helper()
	chat := newTransfer(w, l, 41001)
	chat.A.Do(chat.a, "chat 50")
	curl(t, w)
	ping(t, w)
	harness.Throughout(t, 3*pollInterval, "no other session than the elephant's", func() error {
		for _, s := range sessions(w.World) {
			if s.Tuple != iperfTuple(w) {
				return fmt.Errorf("%+v", s)
			}
		}
		return nil
	})
	chat.A.Do(chat.a, "rst")
	chat.B.Event(patience, chat.b, "reset")
	// the handshake, the reset, and each line, with one answer to two of them at least
	lines := chat.A.Report(chat.a).Sent / 64
	if n := chat.packets(); lines < 20 || n < lines*3/2 {
		t.Errorf("conntrack saw %d packets of %d lines, want all", n, lines)
	}
	if rules := w.Rules(); len(rules) != 2 {
		t.Errorf("rules: %v", rules)
	}
}

func curl(t *testing.T, w *harness.Pair) {
	t.Helper()
	dir := t.TempDir()
	page := strings.Repeat("cheese\n", 100)
	if err := os.WriteFile(filepath.Join(dir, "page"), []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	w.B.HTTPServer(t, 80, dir)
	if got := w.A.Curl(t, fmt.Sprintf("http://%s/page", w.B.IP4)); got != page {
		t.Errorf("curl got %d bytes, want %d", len(got), len(page))
	}
	// handshake, request, answer and FIN from both sides
	if n := w.Entry("-p", "tcp", "--orig-port-dst", "80").Packets(); n < 8 {
		t.Errorf("conntrack saw %d packets of curl, want all", n)
	}
}

func ping(t *testing.T, w *harness.Pair) {
	t.Helper()
	const pings = 5
	w.A.Run(t, "ping", "-q", "-c", fmt.Sprint(pings), "-i", "0.2", w.B.IP4.String())
	entries, err := w.Conntrack("-p", "icmp")
	var most uint64
	for _, e := range entries {
		most = max(most, e.Packets())
	}
	if err != nil || most != 2*pings {
		t.Errorf("conntrack saw %d packets of ping, want %d; %v %v", most, 2*pings, entries, err)
	}
}

// fileArrives sends a file through an offloaded connection.
func fileArrives(t *testing.T, w *harness.Pair, a *harness.Agent, l *harness.Peer) {
	t.Helper()
	const size = 100_000_000
	c := newTransfer(w, l, 41000)
	c.offload(t, a)
	seen := watchSlowPath(w.World, c.filter, c.sport, transferPort, w.A, w.B)
	before := c.bypassed()
	c.send(size)
	sent, got := c.arrived(t)
	if got.RecvCRC != sent.SentCRC {
		t.Errorf("sent %+v, received %+v", sent, got)
	}
	counted(t, "all bytes past the slow path", size, func() int64 { return c.bypassed() - before })
	seen.saw(3)
	c.A.Do(c.a, "rst")
	c.B.Event(patience, c.b, "reset")
}

func observe(t *testing.T, w *harness.Pair, flags ...string) {
	a := startAgent(w.World, append(flags, "--mode=observe")...)
	w.B.Iperf3Server(t)
	w.A.Iperf3(t, w.B.IP4, 40000, "-t", "90", "-R")
	var s session
	harness.Within(t, patience, "the decision", func() error {
		for _, s = range sessions(w.World) {
			if s.Tuple == iperfTuple(w) && s.State == "candidate" && s.Verdict == "offload" && s.Reason == "elephant" {
				return nil
			}
		}
		return fmt.Errorf("sessions: %v", sessions(w.World))
	})
	before := w.Entry(iperfConntrack...).Packets()
	harness.Throughout(t, 3*pollInterval, "nothing installed", func() error { return traces(w.World) })
	if now := w.Entry(iperfConntrack...).Packets(); now <= before {
		t.Errorf("conntrack saw %d packets, then %d", before, now)
	}
	why, err := w.TryCtl("--socket="+socket(w.World), "why", iperfTuple(w))
	if err == nil {
		t.Error("why says by its status that it is offloaded")
	}
	for _, want := range []string{"NOT OFFLOADED", "mode observe", "elephant"} {
		if !strings.Contains(why, want) {
			t.Errorf("why does not say %q:\n%s", want, why)
		}
	}
	a.Stop()
	nothingLeft(t, w.World)
}

// nothingLeft fails unless the ports are as if there never was an agent.
func nothingLeft(t *testing.T, w *harness.World) {
	t.Helper()
	if err := traces(w); err != nil {
		t.Error(err)
	}
}

// traces says what there is in tc on the machines' ports, and in the NIC if there is one.
func traces(w *harness.World) error {
	if w.NIC != nil {
		if n := w.NIC.Counters(w.T).Rules; n != 0 {
			return fmt.Errorf("%d rules in %s: %q", n, w.NIC.Name, w.NIC.Rules(w.T))
		}
	}
	for _, vm := range []string{"vm1", "vm2"} {
		rep := w.VM(vm).Rep
		qdiscs, err := w.Try("tc", "qdisc", "show", "dev", rep)
		if err == nil && strings.Contains(qdiscs, "clsact") {
			err = fmt.Errorf("%s", qdiscs)
		}
		if err != nil {
			return err
		}
		filters, err := w.Try("tc", "filter", "show", "dev", rep, "ingress")
		if err == nil && strings.TrimSpace(filters) != "" {
			err = fmt.Errorf("%s: %s", rep, filters)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
