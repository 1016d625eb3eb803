package harness

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// HerdSize is the payload of a herd's datagrams; each is one packet on a wire.
const HerdSize = 1200

// herdPerPort is how many flows of a herd have the same destination port.
const herdPerPort = 50

// Herd is thousands of UDP flows of known, unequal rates between two machines.
type Herd struct {
	*Process
	t testing.TB
}

// HerdReport is what each flow has sent up to a moment, in bytes by rank: the first
// was made to send most.
type HerdReport struct {
	At    time.Time `json:"at"`
	Bytes []int64   `json:"bytes"`
}

// Herd starts n flows that send rate bytes per second in all to another machine, which
// answers. The rate of rank r (from 0) is in proportion to 1/(r+1)^skew.
func (vm *VM) Herd(t testing.TB, to *VM, n int, rate, skew float64) *Herd {
	t.Helper()
	const sport, dport = 30000, 20000
	ports := (n + herdPerPort - 1) / herdPerPort
	addr := netip.AddrPortFrom(to.IP4, dport).String()
	to.Start(t, append(traffic(t), "reflect", "-n", fmt.Sprint(ports), "udp", addr)...).WaitOutput(t, 20*time.Second, `"listening"`)
	args := []string{"herd", "-n", fmt.Sprint(n), "-rate", fmt.Sprint(rate), "-skew", fmt.Sprint(skew), "-sport", fmt.Sprint(sport), "udp", addr}
	return &Herd{vm.Start(t, append(traffic(t), args...)...), t}
}

// Report asks for what was sent.
func (h *Herd) Report() (r HerdReport) {
	h.t.Helper()
	before := strings.Count(h.Output(), "\n")
	if _, err := fmt.Fprintln(h.Stdin, "report"); err != nil {
		h.t.Fatalf("%v; its output:\n%s", err, tail(h.Output()))
	}
	Within(h.t, 20*time.Second, "a report of the herd", func() error {
		lines := strings.Split(h.Output(), "\n")
		if len(lines) < before+2 {
			return fmt.Errorf("%d lines", len(lines))
		}
		return json.Unmarshal([]byte(lines[before]), &r)
	})
	return r
}

// Since is what each flow has sent since an earlier report.
func (r HerdReport) Since(old HerdReport) []int64 {
	grown := make([]int64, len(r.Bytes))
	for i := range grown {
		grown[i] = r.Bytes[i] - old.Bytes[i]
	}
	return grown
}
