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
	show(out, lines, args...)
}

// show shows the same of a command that has run.
func show(out string, lines int, args ...string) {
	say("\n  $ flowshuntctl %s", strings.Join(args, " "))
	all := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range all[:min(lines, len(all))] {
		if len(line) > widest {
			line = line[:widest-3] + "..."
		}
		say("  %s", line)
	}
}

// widest is how long a line of a command's output may be, in bytes.
const widest = 110

// decidedBy is the policy that decided about a connection.
func decidedBy(w *harness.Pair, tuple string) string {
	w.T.Helper()
	for _, c := range why(w.World, tuple, 0).Entries[0].Checks {
		if c.Name == "policy" {
			return c.Detail
		}
	}
	w.T.Fatalf("no policy decided about %s", tuple)
	return ""
}

// TestDemoEswsim is the main job, told to a newcomer: make demo.
func TestDemoEswsim(t *testing.T) {
	harness.OnEswsim(t)
	w := demoPair(t)
	scene(w)
	listener := w.B.Listen(t, "tcp", transferPort, true)
	mouse := newTransfer(w, listener, 41000)
	mouse.A.Do(mouse.a, "chat 200")
	server := w.B.Iperf3Server(t)
	iperf := w.A.Iperf3(t, w.B.IP4, 40000, "-t", "300", "-R")
	for _, p := range []*harness.Process{listener.Process, mouse.A.Process, server, iperf} {
		harness.Pin(t, p.Pid(), guests)
	}
	lastBelow(t, w)

	say("1. WITHOUT FLOWSHUNT. An elephant: vm1 downloads from vm2 as fast as it can. A mouse: a chat,\n" +
		"   five lines of 64 bytes a second. Open vSwitch and conntrack see every packet of both.")
	before := watch(w, mouse)

	say("\n2. POLICIES say what may leave the slow path. They are rows of an OVSDB database beside Open vSwitch's own.")
	show(w.ServePolicies(), 9, "init")
	run(w, 9, "list-policies")

	say("\n3. THE AGENT STARTS, on all ports, in mode enforce (its default, observe, only tells what it would do).")
	a := startAgent(w.World, "--db="+w.OVSDB())
	harness.Pin(t, a.Pid(), host)
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
		"   from the packets themselves, and put two tc-flower rules, one for each direction, into the NIC.\n"+
		"   The policy that decided is %q.", installed.Sub(ready).Seconds(), decidedBy(w, iperfTuple(w)))
	after := watch(w, mouse)
	run(w, 9, "show")
	run(w, 9, "sessions", "--all")
	run(w, 99, "why", iperfTuple(w))
	run(w, 2, "why", mouse.tuple)

	say("\n4. BEFORE AND AFTER, about %.0f seconds each. The NIC is a *model*, so speed says nothing; what\n"+
		"   counts is what is left for the host to do.\n", watchTime.Seconds())
	compare(before, after)

	stopped := time.Now()
	iperf.Stop()
	removed := a.Logged(t, patience, "removed", "session", session).Time
	rulesWithin(t, w.World, patience, 0)
	say("\n5. THE ELEPHANT ENDS. FIN and RST always take the slow path, so everybody learns of the end:\n"+
		"   the rules were out %d ms after we told iperf3 to stop.", removed.Sub(stopped).Milliseconds())
	a.Stop()
	if err := traces(w.World); err != nil {
		t.Fatal(err)
	}
	say("   The agent stops, too. `tc filter show`, `tc qdisc show` and the NIC's table: nothing of ours is left.")
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
	say("The NIC is a *model*: a kernel module with the interfaces of a SmartNIC. Each machine has a virtual\n" +
		"function of it; the port in OVS is that function's representor. What the NIC has a rule for, it\n" +
		"forwards by itself; all else comes out of the representor, and OVS decides.\n")
}

// Two processors, one for the host with all that it does, one for the machines, as the
// processors of compute nodes are shared out.
const host, guests = 0, 1

// demoPair is a switched pair whose machines send packets as big as a wire takes, each
// half on its processor.
func demoPair(t *testing.T) *harness.Pair {
	t.Helper()
	w := harness.New(t)
	w.Bridge("br0")
	wire := harness.VMConfig{NoOffload: true}
	p := &harness.Pair{World: w, A: w.AddVM("br0", "vm1", wire), B: w.AddVM("br0", "vm2", wire), Zone: harness.PairZone}
	w.Switch("br0", harness.Pipeline{Zone: p.Zone})
	p.A.Ping(t, p.B.IP4)
	harness.Soak(t, host)
	w.PinSwitch(t, host)
	for _, vm := range []*harness.VM{p.A, p.B} {
		w.Steer(t, vm.Rep, host)
		vm.Steer(t, "eth0", guests)
	}
	return p
}

// watchTime is how long the numbers are taken.
const watchTime = 5 * time.Second

// cost is what the elephant has moved, and what the host's processor has worked
// meanwhile.
type cost struct {
	at    time.Time
	bytes uint64
	busy  time.Duration
	nic   harness.NICCounters
}

// now reads all at once, at no price.
func now(w *harness.Pair) cost {
	w.T.Helper()
	return cost{time.Now(), w.A.Counters(w.T, "eth0").RxBytes, harness.Busy(w.T, host), w.NIC.Counters(w.T)}
}

// spent is what there was between two readings: processor seconds of the host for a
// gigabyte, and in a second. What the model took for packets that it gave to the host is
// not in it; what it took for others is on the machines' processor.
func (c cost) spent(began cost) (perGB, perSecond float64) {
	hits, misses := float64(c.nic.Hits-began.nic.Hits), float64(c.nic.Misses-began.nic.Misses)
	model := (c.nic.CPU - began.nic.CPU).Seconds() * misses / (hits + misses)
	busy := (c.busy - began.busy).Seconds() - model
	return busy / (float64(c.bytes-began.bytes) / 1e9), busy / c.at.Sub(began.at).Seconds()
}

// sight is what was seen of the traffic, in a second or in all.
type sight struct {
	ovs, conntrack, nic, mouse int64   // packets a second; OVS: of all traffic
	slowBytes, fastBytes       int64   // of the elephant
	ovsPerGB                   int64   // packets of all traffic
	cpuPerGB, cpu              float64 // seconds of the host's processor; the same per second
}

// look is one reading of all counters. Each has its own time: to read one takes a
// moment in which the next goes on.
type look struct {
	at, atOVS       time.Time
	elephant, mouse harness.Entry
	a, b            map[string]uint64
	bytes           uint64 // of the rules
	hits            uint64 // of the NIC
	moved           uint64 // when OVS was read
}

func lookAt(w *harness.Pair, mouse *transfer) (l look) {
	w.T.Helper()
	l.at = time.Now()
	l.elephant, l.mouse = w.Entry(iperfConntrack...), w.Entry(mouse.filter...)
	l.hits = w.NIC.Counters(w.T).Hits
	for _, r := range w.Rules() {
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
	cpuPerGB, cpu := now(w).spent(began)
	m := lookAt(w, mouse)
	rate := func(n uint64, took time.Duration) int64 { return int64(float64(n)/took.Seconds() + 0.5) }
	took := m.at.Sub(l.at)
	ovs := harness.Grown(l.a, m.a) + harness.Grown(l.b, m.b)
	return sight{
		ovs:       rate(ovs, m.atOVS.Sub(l.atOVS)),
		conntrack: rate(m.elephant.Packets()-l.elephant.Packets(), took),
		nic:       rate(m.hits-l.hits, took),
		mouse:     rate(m.mouse.Packets()-l.mouse.Packets(), took),
		slowBytes: int64(m.elephant.Bytes() - l.elephant.Bytes()), fastBytes: int64(m.bytes - l.bytes),
		ovsPerGB: int64(float64(ovs) / (float64(m.moved-l.moved) / 1e9)), cpuPerGB: cpuPerGB, cpu: cpu,
	}
}

func compare(before, after sight) {
	line := func(what, left, right string) { say("   %-54s %17s %15s", what, left, right) }
	row := func(what, format string, value func(sight) any) {
		line(what, fmt.Sprintf(format, value(before)), fmt.Sprintf(format, value(after)))
	}
	line("", "without Flowshunt", "with Flowshunt")
	row("elephant: MB through Open vSwitch", "%d", func(s sight) any { return s.slowBytes / 1e6 })
	row("elephant: MB through the NIC alone", "%d", func(s sight) any { return s.fastBytes / 1e6 })
	row("elephant: packets/s that conntrack saw", "%d", func(s sight) any { return s.conntrack })
	row("elephant: packets/s that the NIC forwarded", "%d", func(s sight) any { return s.nic })
	row("mouse: packets/s that conntrack saw", "%d", func(s sight) any { return s.mouse })
	row("all traffic: packets/s that Open vSwitch saw", "%d", func(s sight) any { return s.ovs })
	row("*model* packets through Open vSwitch, per GB", "%d", func(s sight) any { return s.ovsPerGB })
	row("*model* seconds of the host's CPU, per GB", "%.1f", func(s sight) any { return s.cpuPerGB })
	row("*model* load of the host's CPU, in percent", "%.0f", func(s sight) any { return 100 * s.cpu })
	say("   (The host has a CPU of its own, for Open vSwitch, conntrack, the rest of the kernel and the agent;\n" +
		"   the machines, and what the model of the NIC does for them, have another. An emulated CPU is slow,\n" +
		"   so compare the columns with each other, and with nothing else.)")
}

// judgeDemo fails when the numbers do not show what the words say.
func judgeDemo(t *testing.T, before, after sight) {
	t.Helper()
	if before.slowBytes < 10e6 || before.nic != 0 || before.mouse == 0 {
		t.Errorf("before: %+v", before)
	}
	if after.conntrack > 0 || after.fastBytes < 10e6 || after.nic < 100 || after.mouse == 0 || after.ovs > after.mouse+10 || after.ovsPerGB*10 > before.ovsPerGB {
		t.Errorf("after: %+v", after)
	}
	if after.cpuPerGB >= before.cpuPerGB {
		t.Errorf("the host's CPU: before %+v, after %+v", before, after)
	}
}
