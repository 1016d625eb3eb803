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

// TestDemoEswsim is the main job, told to a newcomer: make demo.
func TestDemoEswsim(t *testing.T) {
	harness.OnEswsim(t)
	w := harness.SwitchedPair(t)
	scene(w)
	listener := w.B.Listen(t, "tcp", transferPort, true)
	mouse := newTransfer(w, listener, 41000)
	mouse.A.Do(mouse.a, "chat 200")
	w.B.Iperf3Server(t)
	iperf := w.A.Iperf3(t, w.B.IP4, 40000, "-t", "300", "-R")
	lastBelow(t, w)
	alone := endsAlone(w)

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
		"   from the packets themselves, and put two tc-flower rules, one for each direction, into the NIC.", installed.Sub(ready).Seconds())
	after := watch(w, mouse)
	run(w, 9, "show")
	run(w, 9, "sessions", "--all")
	run(w, 99, "why", iperfTuple(w))
	run(w, 2, "why", mouse.tuple)

	say("\n3. BEFORE AND AFTER, about %.0f seconds each. The NIC is a *model*, so speed says nothing; what\n"+
		"   counts is what is left for the host to do.\n", watchTime.Seconds())
	compare(before, after, alone)

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
	say("   The agent stops, too. `tc filter show`, `tc qdisc show` and the NIC's table: nothing of ours is left.")
	judgeDemo(t, before, after, alone)
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
	say("The NIC is a *model*: a kernel module with the interfaces of a SmartNIC. Each machine has a virtual\n" +
		"function of it; the port in OVS is that function's representor. What the NIC has a rule for, it\n" +
		"forwards by itself; all else comes out of the representor, and OVS decides.\n")
}

// endsAlone measures what the elephant costs its two ends, and the rest of the machine
// costs meanwhile: with rules made by hand, and no agent.
func endsAlone(w *harness.Pair) cost {
	w.T.Helper()
	redirect(w, w.A, w.B, "40000", fmt.Sprint(harness.IperfPort))
	redirect(w, w.B, w.A, fmt.Sprint(harness.IperfPort), "40000")
	began := now(w)
	<-time.After(watchTime)
	alone := now(w).since(began)
	for _, vm := range []*harness.VM{w.A, w.B} {
		w.Run(w.T, "tc", "qdisc", "del", "dev", vm.Rep, "clsact")
	}
	return alone
}

// watchTime is how long the numbers are taken.
const watchTime = 5 * time.Second

// cost is what the elephant has moved, and what processors have worked for everything
// meanwhile, but the model of the NIC.
type cost struct {
	bytes uint64
	busy  time.Duration
}

// now reads both at once, at no price.
func now(w *harness.Pair) cost {
	w.T.Helper()
	return cost{w.A.Counters(w.T, "eth0").RxBytes, harness.Busy(w.T) - w.NIC.Counters(w.T).CPU}
}

func (c cost) since(began cost) cost { return cost{c.bytes - began.bytes, c.busy - began.busy} }

// perGB is in processor seconds.
func (c cost) perGB() float64 { return c.busy.Seconds() / (float64(c.bytes) / 1e9) }

// sight is what was seen of the traffic, in a second or in all.
type sight struct {
	ovs, conntrack, eswitch, mouse int64 // packets a second; OVS: of all traffic
	slowBytes, fastBytes           int64 // of the elephant
	cost                           cost
	ovsPerGB                       int64 // packets of all traffic
}

// look is one reading of all counters. Each has its own time: to read one takes a
// moment in which the next goes on.
type look struct {
	at, atOVS       time.Time
	elephant, mouse harness.Entry
	a, b            map[string]uint64
	packets, bytes  uint64 // of the rules
	moved           uint64 // when OVS was read
}

func lookAt(w *harness.Pair, mouse *transfer) (l look) {
	w.T.Helper()
	l.at = time.Now()
	l.elephant, l.mouse = w.Entry(iperfConntrack...), w.Entry(mouse.filter...)
	for _, r := range w.Rules() {
		l.packets += r.Packets()
		l.bytes += r.Bytes()
	}
	l.atOVS, l.moved = time.Now(), w.A.Counters(w.T, "eth0").RxBytes
	l.a, l.b = w.SlowPath(w.A), w.SlowPath(w.B)
	return l
}

// watch looks at the counters of everybody, twice.
func watch(w *harness.Pair, mouse *transfer) sight {
	w.T.Helper()
	l, began := lookAt(w, mouse), now(w)
	<-time.After(watchTime)
	cost, m := now(w).since(began), lookAt(w, mouse)
	rate := func(n uint64, took time.Duration) int64 { return int64(float64(n)/took.Seconds() + 0.5) }
	took := m.at.Sub(l.at)
	ovs := harness.Grown(l.a, m.a) + harness.Grown(l.b, m.b)
	return sight{
		ovs:       rate(ovs, m.atOVS.Sub(l.atOVS)),
		conntrack: rate(m.elephant.Packets()-l.elephant.Packets(), took),
		eswitch:   rate(m.packets-l.packets, took),
		mouse:     rate(m.mouse.Packets()-l.mouse.Packets(), took),
		slowBytes: int64(m.elephant.Bytes() - l.elephant.Bytes()), fastBytes: int64(m.bytes - l.bytes),
		cost: cost, ovsPerGB: int64(float64(ovs) / (float64(m.moved-l.moved) / 1e9)),
	}
}

func compare(before, after sight, alone cost) {
	line := func(what, left, right string) { say("   %-52s %17s %15s", what, left, right) }
	row := func(what string, value func(sight) int64) {
		line(what, fmt.Sprint(value(before)), fmt.Sprint(value(after)))
	}
	seconds := func(what string, left, right float64) {
		line(what, fmt.Sprintf("%.1f", left), fmt.Sprintf("%.1f", right))
	}
	line("", "without Flowshunt", "with Flowshunt")
	row("elephant: MB through Open vSwitch", func(s sight) int64 { return s.slowBytes / 1e6 })
	row("elephant: MB through the NIC alone", func(s sight) int64 { return s.fastBytes / 1e6 })
	row("elephant: packets/s that conntrack saw", func(s sight) int64 { return s.conntrack })
	row("elephant: packets/s that the NIC forwarded", func(s sight) int64 { return s.eswitch })
	row("mouse: packets/s that conntrack saw", func(s sight) int64 { return s.mouse })
	row("all traffic: packets/s that Open vSwitch saw", func(s sight) int64 { return s.ovs })
	row("packets through Open vSwitch per GB      *model*", func(s sight) int64 { return s.ovsPerGB })
	seconds("CPU seconds per GB, the whole machine    *model*", before.cost.perGB(), after.cost.perGB())
	seconds("  of these, the elephant's two ends alone", alone.perGB(), alone.perGB())
	seconds("  so OVS, conntrack, and Flowshunt itself", before.cost.perGB()-alone.perGB(), after.cost.perGB()-alone.perGB())
	say("   (OVS and conntrack count what the kernel hands over at once, up to 64 kB; the NIC counts what\n" +
		"   a wire would carry. CPU is all that the machine's processors did, but for the model of the NIC;\n" +
		"   the ends were measured apart, with the same two rules made by hand and no agent.)")
}

// judgeDemo fails when the numbers do not show what the words say.
func judgeDemo(t *testing.T, before, after sight, alone cost) {
	t.Helper()
	if before.slowBytes < 10e6 || before.eswitch != 0 || before.mouse == 0 {
		t.Errorf("before: %+v", before)
	}
	if after.conntrack > 0 || after.fastBytes < 10e6 || after.mouse == 0 || after.ovs > after.mouse+10 || after.ovsPerGB*10 > before.ovsPerGB {
		t.Errorf("after: %+v", after)
	}
	if saved := before.cost.perGB() - after.cost.perGB(); saved <= 0 {
		t.Errorf("CPU seconds per GB: before %.1f, after %.1f, the ends alone %.1f", before.cost.perGB(), after.cost.perGB(), alone.perGB())
	}
}
