package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// modprobe is the program by which the kernel loads modules that it misses.
const modprobe = "/proc/sys/kernel/modprobe"

// withoutFlower takes cls_flower from the kernel until the end of the test.
func withoutFlower(t *testing.T) {
	t.Helper()
	if os.Getenv("FLOWSHUNT_VM") == "" {
		t.Skip("takes cls_flower from the kernel: told in a virtual machine only (KERNEL=6.1)")
	}
	before, err := os.ReadFile(modprobe)
	if err != nil {
		t.Fatal(err)
	}
	set := func(program string) {
		if err := os.WriteFile(modprobe, []byte(program), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	harness.Within(t, patience, "cls_flower is out", func() error { // what earlier stories had goes later than they end
		if out, err := exec.Command("modprobe", "-r", "cls_flower").CombinedOutput(); err != nil {
			return fmt.Errorf("modprobe -r cls_flower: %w: %s", err, out)
		}
		return nil
	})
	set("/bin/false")
	t.Cleanup(func() {
		set(string(before))
		if out, err := exec.Command("modprobe", "cls_flower").CombinedOutput(); err != nil {
			t.Errorf("modprobe cls_flower: %v: %s", err, out)
		}
	})
}

// ourFlows returns the flows of a bridge that are rules.
func ourFlows(w *harness.World) (list []string) {
	w.T.Helper()
	out := w.Run(w.T, "ovs-ofctl", "-O", "OpenFlow14", "dump-flows", "br0", "cookie=0xf105470100000000/0xffffffff00000000")
	for line := range strings.Lines(out) {
		if strings.Contains(line, "cookie=") {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

func flowsWithin(w *harness.World, limit time.Duration, n int) {
	w.T.Helper()
	harness.Within(w.T, limit, fmt.Sprintf("%d flows of ours", n), func() error {
		if all := ourFlows(w); len(all) != n {
			return fmt.Errorf("%d:\n%s", len(all), strings.Join(all, "\n"))
		}
		return nil
	})
}

// Where the kernel has no flower, rules are flows of the bridge on the kernel's datapath, by
// which packets pass conntrack; they end by themselves when the agent dies.
func TestWithoutFlower(t *testing.T) {
	slowly(t)
	withoutFlower(t)
	w := harness.SwitchedPair(t)
	const timeout = 6 * time.Second
	a := startAgent(w.World, "--flow-timeout="+timeout.String())
	c := newTransfer(w, w.B.Listen(t, "tcp", transferPort, false), 41000)
	c.offload(t, a)
	flowsWithin(w.World, patience, 2)
	seen := watchSlowPath(w.World, c.filter, c.sport, transferPort, w.A, w.B)
	c.send(20_000_000)
	sent, got := c.arrived(t)
	if got.RecvCRC != sent.SentCRC {
		t.Errorf("sent %+v, received %+v", sent, got)
	}
	seen.saw(3)
	a.Signal(t, syscall.SIGKILL)
	killed := time.Now()
	flowsWithin(w.World, timeout+5*time.Second, 0)
	t.Logf("gone %v after the agent", time.Since(killed).Round(100*time.Millisecond))
	c.send(1_000_000)
	if sent, got := c.arrived(t); got.RecvCRC != sent.SentCRC {
		t.Errorf("sent %+v, received %+v", sent, got)
	}
}
