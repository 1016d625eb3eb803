package harness

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

// IperfPort is where Iperf3Server listens.
const IperfPort = 5201

// Iperf3Server runs an iperf3 server in the machine until the test ends.
func (vm *VM) Iperf3Server(t testing.TB) *Process {
	t.Helper()
	p := vm.Start(t, "iperf3", "-s", "--forceflush")
	p.WaitOutput(t, 20*time.Second, "Server listening")
	return p
}

// Iperf3 starts a client with a known source port (iperf3 adds one for each
// parallel stream; its control connection has another). Further flags follow,
// e.g. "-t", "9", "-R", "-u".
func (vm *VM) Iperf3(t testing.TB, to netip.Addr, sport uint16, flags ...string) *Process {
	t.Helper()
	args := []string{"iperf3", "-J", "-c", to.String(), "--cport", strconv.Itoa(int(sport))}
	return vm.Start(t, append(args, flags...)...)
}

// IperfResult is the end of an iperf3 client's report.
type IperfResult struct {
	SentBytes, ReceivedBytes uint64
	SentBitsPerSecond        float64
	Retransmits              uint64
}

// Iperf3Result waits for a client's end and reads its report.
func Iperf3Result(t testing.TB, p *Process, limit time.Duration) IperfResult {
	t.Helper()
	if status := p.Wait(t, limit); status != 0 {
		t.Fatalf("%s: status %d:\n%s", p, status, p.Output())
	}
	r, err := parseIperf3([]byte(p.Output()))
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	return r
}

func parseIperf3(report []byte) (IperfResult, error) {
	type sum struct {
		Bytes         uint64  `json:"bytes"`
		BitsPerSecond float64 `json:"bits_per_second"`
		Retransmits   uint64  `json:"retransmits"`
	}
	var r struct {
		Error string `json:"error"`
		End   struct {
			Sent     sum `json:"sum_sent"`
			Received sum `json:"sum_received"`
			Sum      sum `json:"sum"` // UDP has only this
		} `json:"end"`
	}
	if err := json.Unmarshal(report, &r); err != nil {
		return IperfResult{}, fmt.Errorf("iperf3's report: %w", err)
	}
	if r.Error != "" {
		return IperfResult{}, fmt.Errorf("iperf3: %s", r.Error)
	}
	if r.End.Sent.Bytes == 0 {
		r.End.Sent, r.End.Received = r.End.Sum, r.End.Sum
	}
	return IperfResult{r.End.Sent.Bytes, r.End.Received.Bytes, r.End.Sent.BitsPerSecond, r.End.Sent.Retransmits}, nil
}
