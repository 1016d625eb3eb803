package harness

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Soak keeps a processor from being idle until the test ends: what an idle one does
// within an interrupt, the kernel counts as idleness. Nobody has to wait for it, and
// Busy leaves it out.
func Soak(t testing.TB, cpu int) {
	t.Helper()
	cmd := exec.Command("nice", "-n", "19", "chrt", "--idle", "0", "taskset", "-c", strconv.Itoa(cpu), "busybox", "sh", "-c", "while :; do :; done")
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
}

// Busy is how long a processor has worked so far, for whatever purpose but those of
// processes that are nice, in steps of 10 ms; see Soak.
func Busy(t testing.TB, cpu int) time.Duration {
	t.Helper()
	b, err := os.ReadFile("/proc/stat")
	if err == nil {
		var busy time.Duration
		if busy, err = parseBusy(string(b), cpu); err == nil {
			return busy
		}
	}
	t.Fatal(err)
	return 0
}

func parseBusy(stat string, cpu int) (busy time.Duration, err error) {
	const user, system, irq, softirq = 1, 3, 6, 7 // of the columns
	const tick = 10 * time.Millisecond            // USER_HZ
	for line := range strings.Lines(stat) {
		columns := strings.Fields(line)
		if len(columns) <= softirq || columns[0] != fmt.Sprint("cpu", cpu) {
			continue
		}
		for _, i := range []int{user, system, irq, softirq} {
			n, err := strconv.ParseUint(columns[i], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/stat: %w in %q", err, line)
			}
			busy += time.Duration(n) * tick
		}
		return busy, nil
	}
	return 0, fmt.Errorf("/proc/stat: no processor %d", cpu)
}

// Pin binds a process, with all its threads, to a processor.
func Pin(t testing.TB, pid, cpu int) {
	t.Helper()
	if out, err := exec.Command("taskset", "-a", "-c", "-p", strconv.Itoa(cpu), strconv.Itoa(pid)).CombinedOutput(); err != nil {
		t.Fatalf("taskset: %v: %s", err, out)
	}
}

// PinSwitch binds OVS's daemons.
func (n *Node) PinSwitch(t testing.TB, cpu int) {
	t.Helper()
	Pin(t, n.vswitchd.Pid(), cpu)
	Pin(t, n.ovsdb.Pid(), cpu)
}

// Steer has a processor take all that comes in at a device: receive packet steering, of
// Documentation/networking/scaling.rst.
func (ns *Namespace) Steer(t testing.TB, dev string, cpu int) {
	t.Helper()
	cmd := ns.contained([]string{"sh", "-c", fmt.Sprintf("echo %x >/sys/class/net/%s/queues/rx-0/rps_cpus", 1<<cpu, dev)})
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("steer %s: %v: %s", dev, err, out)
	}
}
