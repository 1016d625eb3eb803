package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// What OVS polices is not offloaded, and OVS can police: before the agent starts, and
// when the rate is configured while our rules stand there.
func TestPolicing(t *testing.T) {
	const policed = 1_000_000 // bytes per second
	w := harness.SwitchedPair(t)
	police := func(kbps int) {
		w.Vsctl("set", "interface", w.A.Rep, fmt.Sprint("ingress_policing_rate=", kbps), fmt.Sprint("ingress_policing_burst=", kbps/5))
	}
	police(8 * policed / 1000)
	before := policer(w)
	if !strings.Contains(before, "police") {
		t.Fatalf("OVS polices nothing: %s", before)
	}
	a := startAgent(w.World, modest...)
	l := w.B.Listen(t, "tcp", 9000, false)
	f := dial(w, "tcp", false, 48100)
	f.Do(1, fmt.Sprintf("send %d %d", endless, 4*policed))
	r := &running{f, w, l, a}
	becomes(w.World, patience, f.tuple, "candidate", "port-qos")
	if now := policer(w); now != before {
		t.Errorf("tc showed\n%s\nand now\n%s", before, now)
	}

	police(0)
	c := offloaded(w.World, f.tuple)
	pairs(t, w.World, 0)
	for _, way := range []string{"fast", "policed", "fast again"} {
		switch way {
		case "policed":
			police(8 * policed / 1000)
			left(t, a, c, "port-qos")
			mustAudit(w.World, 0, true)
			harness.Within(t, patience, "OVS polices", func() error {
				if now := policer(w); now != before || strings.Contains(listing(w.World, w.A.Rep), "clsact") {
					return fmt.Errorf("tc shows\n%s", listing(w.World, w.A.Rep))
				}
				return nil
			})
			becomes(w.World, patience, f.tuple, "candidate", "port-qos")
		case "fast again":
			police(0)
			c, _ = r.back(c)
			pairs(t, w.World, 0)
		}
		rate := r.rate(3 * time.Second)
		t.Logf("%s: %.0f kB/s", way, rate/1000)
		if way == "policed" && (rate > 1.3*policed || rate < policed/10) || way != "policed" && rate < 2*policed {
			t.Errorf("%s: %.0f kB/s", way, rate/1000)
		}
	}
	r.arrives()
}

// policeIndex is a number that the kernel gives to each policer of the node.
var policeIndex = regexp.MustCompile(`police 0x[0-9a-f]+`)

// policer is what tc shows of OVS's policing of A's port.
func policer(w *harness.Pair) string {
	w.T.Helper()
	return policeIndex.ReplaceAllString(policerListing(w), "police")
}

func policerListing(w *harness.Pair) string {
	w.T.Helper()
	return w.Run(w.T, "tc", "qdisc", "show", "dev", w.A.Rep, "ingress") + w.Run(w.T, "tc", "filter", "show", "dev", w.A.Rep, "parent", "ffff:")
}

// rate is how many bytes per second arrive.
func (r *running) rate(during time.Duration) float64 {
	r.w.T.Helper()
	n := r.listener.Conn(r.from)
	first := r.listener.Report(n)
	<-time.After(during)
	last := r.listener.Report(n)
	return float64(last.Received-first.Received) / last.At.Sub(first.At).Seconds()
}
