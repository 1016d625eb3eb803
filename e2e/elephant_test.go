package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// An elephant leaves OVS and conntrack, and everything is gone when it ends.
func TestElephant(t *testing.T) {
	for name, pair := range map[string]func(testing.TB) *harness.Pair{"switch": harness.SwitchedPair, "wire": harness.WiredPair} {
		t.Run(name, func(t *testing.T) {
			w := pair(t)
			flags := []string{}
			if name == "wire" {
				flags = append(flags, fmt.Sprintf("--wires=%s:%s", w.A.Rep, w.B.Rep))
			}
			a := startAgent(w.World, flags...)
			elephant(t, w)
			t.Log(a.Output())
		})
	}
}

func elephant(t *testing.T, w *harness.Pair) {
	filter := []string{"-p", "tcp", "--orig-port-src", "40000"}
	w.B.Iperf3Server(t)
	iperf := w.A.Iperf3(t, w.B.IP4, 40000, "-t", "14", "-R")
	harness.Within(t, 20*time.Second, "1 MiB in the slow path", func() error {
		entries, err := w.Conntrack(filter...)
		if err == nil && (len(entries) != 1 || entries[0].Bytes() < 1<<20) {
			err = fmt.Errorf("entries: %+v", entries)
		}
		return err
	})
	began := time.Now()
	rulesWithin(t, w.World, 2*pollInterval+time.Second, 2)
	t.Logf("offloaded %v after its first MiB", time.Since(began))

	before := w.Entry(filter...).Packets()
	slow := w.SlowPathPackets(w.A) + w.SlowPathPackets(w.B)
	start, since := moved(w), time.Now()
	harness.Within(t, 30*time.Second, "50 MB and 5 s past the slow path", func() error {
		if n := moved(w) - start; n < 50e6 || time.Since(since) < 5*time.Second {
			return fmt.Errorf("%d bytes in %v", n, time.Since(since))
		}
		return nil
	})
	ct, ovs := w.Entry(filter...).Packets()-before, w.SlowPathPackets(w.A)+w.SlowPathPackets(w.B)-slow
	t.Logf("%d MB moved; conntrack saw %d packets of it, OVS %d", (moved(w)-start)/1e6, ct, ovs)
	if ct > 3 {
		t.Errorf("conntrack counted %d packets", ct)
	}
	if r := harness.Iperf3Result(t, iperf, 40*time.Second); r.ReceivedBytes < 50e6 {
		t.Errorf("iperf3 received %d bytes", r.ReceivedBytes)
	}
	rulesWithin(t, w.World, 2*time.Second, 0)
}
