package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// say tells the demonstration's reader something. hack/demo shows these lines and
// nothing else of the output.
func say(format string, args ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, args...) + "\n") {
		fmt.Print("demo| ", line)
	}
}

// run shows a command of ours and the first lines of what it prints.
func run(w *harness.Pair, lines int, args ...string) {
	w.T.Helper()
	out, _ := w.TryCtl(append([]string{"--socket=" + socket(w.World)}, args...)...) // why exits by its answer
	say("\n  $ flowshuntctl %s", strings.Join(args, " "))
	all := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range all[:min(lines, len(all))] {
		say("  %s", line)
	}
}

// TestDemo is the main job, told to a newcomer: make demo.
func TestDemo(t *testing.T) {
	w := harness.SwitchedPair(t)
	scene(w)
	listener := w.B.Listen(t, "tcp", transferPort, true)
	mouse := newTransfer(w, listener, 41000)
	mouse.A.Do(mouse.a, "chat 200")
	w.B.Iperf3Server(t)
	iperf := w.A.Iperf3(t, w.B.IP4, 40000, "-t", "300", "-R")
	lastBelow(t, w)

	say("1. WITHOUT FLOWSHUNT. An elephant: vm1 downloads from vm2 as fast as it can. A mouse: a chat,\n" +
		"   five lines of 64 bytes a second. Open vSwitch and conntrack see every packet of both.")
	before := watch(w, mouse)

	say("\n2. THE AGENT STARTS, on all ports, in mode enforce (its default, observe, only tells what it would do).")
	a := startAgent(w.World)
	ready := a.Logged(t, patience, "ready").Time
	session := a.Logged(t, patience, "install", "connection", iperfTuple(w)).Attrs["session"]
	installed := a.Logged(t, patience, "installed", "session", session, "error", "<nil>").Time
	harness.Within(t, patience, "offloaded", func() error {
		if list := sessions(w.World); len(list) != 1 || list[0].State != "offloaded" {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	say("   %.1f s after it was ready it had found the elephant in conntrack, learnt where its packets go\n"+
		"   from the packets themselves, and put two tc-flower rules, one for each direction, in front of OVS.", installed.Sub(ready).Seconds())
	after := watch(w, mouse)
	run(w, 9, "show")
	run(w, 9, "sessions", "--all")
	run(w, 99, "why", iperfTuple(w))
	run(w, 2, "why", mouse.tuple)

	say("\n3. BEFORE AND AFTER, about %.0f seconds each:\n", watchTime.Seconds())
	compare(before, after)

	stopped := time.Now()
	iperf.Stop()
	removed := a.Logged(t, patience, "removed", "session", session).Time
	rulesWithin(t, w.World, patience, 0)
	say("\n4. THE ELEPHANT ENDS. FIN and RST always take the slow path, so everybody learns of the end:\n"+
		"   the rules were out %d ms after we told iperf3 to stop.", removed.Sub(stopped).Milliseconds())
	a.Stop()
	if err := traces(w.World); err != nil {
		t.Fatal(err)
	}
	say("   The agent stops, too. `tc filter show` and `tc qdisc show` on both ports: nothing of ours is left.")
	judgeDemo(t, before, after)
	t.Log(a.Output())
}

func scene(w *harness.Pair) {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	ovs := strings.Fields(strings.SplitN(w.Vsctl("--version"), "\n", 2)[0])
	say("A compute node in small: Open vSwitch %s on Linux %s, one bridge that sends every\n"+
		"packet through conntrack (zone %d), and two virtual machines, vm1 %s and vm2 %s\n"+
		"(network namespaces; what is real is the switch, conntrack, tc and the traffic).",
		ovs[len(ovs)-1], strings.TrimSpace(string(kernel)), w.Zone, w.A.IP4, w.B.IP4)
	if vendor, _ := os.ReadFile("/sys/class/dmi/id/sys_vendor"); strings.HasPrefix(string(vendor), "QEMU") {
		say("All of it runs in an emulated machine, since the kernel outside lacks what is needed.")
	}
	say("There is no NIC: the eswitch is the kernel's own tc-flower, in software. So look at who sees the\n" +
		"packets; speed and CPU here say nothing about a NIC, and are not compared.\n")
}

// watchTime is how long the numbers are taken.
const watchTime = 5 * time.Second

// sight is what was seen of the traffic, in a second or in all.
type sight struct {
	ovs, conntrack, eswitch, mouse int64 // packets a second; OVS: of all traffic
	slowBytes, fastBytes           int64 // of the elephant
}

// look is one reading of all counters. Each has its own time: to read one takes a
// moment in which the next goes on.
type look struct {
	at, atOVS       time.Time
	elephant, mouse harness.Entry
	a, b            map[string]uint64
	packets, bytes  uint64 // of the rules
}

func lookAt(w *harness.Pair, mouse *transfer) (l look) {
	w.T.Helper()
	l.at = time.Now()
	l.elephant, l.mouse = w.Entry(iperfConntrack...), w.Entry(mouse.filter...)
	for _, r := range w.Rules() {
		l.packets += r.Packets()
		l.bytes += r.Bytes()
	}
	l.atOVS = time.Now()
	l.a, l.b = w.SlowPath(w.A), w.SlowPath(w.B)
	return l
}

// watch looks at the counters of everybody, twice.
func watch(w *harness.Pair, mouse *transfer) sight {
	w.T.Helper()
	l := lookAt(w, mouse)
	<-time.After(watchTime)
	m := lookAt(w, mouse)
	rate := func(n uint64, took time.Duration) int64 { return int64(float64(n)/took.Seconds() + 0.5) }
	took := m.at.Sub(l.at)
	return sight{
		ovs:       rate(harness.Grown(l.a, m.a)+harness.Grown(l.b, m.b), m.atOVS.Sub(l.atOVS)),
		conntrack: rate(m.elephant.Packets()-l.elephant.Packets(), took),
		eswitch:   rate(m.packets-l.packets, took),
		mouse:     rate(m.mouse.Packets()-l.mouse.Packets(), took),
		slowBytes: int64(m.elephant.Bytes() - l.elephant.Bytes()), fastBytes: int64(m.bytes - l.bytes),
	}
}

func compare(before, after sight) {
	say("   %-46s %18s %18s", "", "without Flowshunt", "with Flowshunt")
	row := func(what string, value func(sight) int64) {
		say("   %-46s %18d %18d", what, value(before), value(after))
	}
	row("elephant: MB through Open vSwitch", func(s sight) int64 { return s.slowBytes / 1e6 })
	row("elephant: MB through the eswitch", func(s sight) int64 { return s.fastBytes / 1e6 })
	row("elephant: packets/s that conntrack saw", func(s sight) int64 { return s.conntrack })
	row("elephant: packets/s that the eswitch forwarded", func(s sight) int64 { return s.eswitch })
	row("mouse: packets/s that conntrack saw", func(s sight) int64 { return s.mouse })
	row("all traffic: packets/s that Open vSwitch saw", func(s sight) int64 { return s.ovs })
	say("   (OVS and conntrack count what the kernel hands over at once, up to 64 kB; the eswitch\n" +
		"   counts what a wire would carry)")
}

// judgeDemo fails when the numbers do not show what the words say.
func judgeDemo(t *testing.T, before, after sight) {
	t.Helper()
	if before.slowBytes < 10e6 || before.eswitch != 0 || before.mouse == 0 {
		t.Errorf("before: %+v", before)
	}
	if after.conntrack > 0 || after.fastBytes < 10e6 || after.mouse == 0 || after.ovs > after.mouse+10 {
		t.Errorf("after: %+v", after)
	}
}
