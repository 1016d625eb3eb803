package datapath

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/flowshunt/flowshunt/hack/benchtest"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// script is what gives a datapath n flows with some 50 masks.
func script(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "add recirc_id(0),in_port(0),ct_state(0x22/0x%x),eth(src=02:01:00:00:%02x:%02x,dst=02:02:00:00:%02x:%02x),eth_type(0x0800),"+
			"ipv4(src=10.1.%d.%d/255.255.255.%d,dst=10.2.%d.%d,proto=6,frag=no),tcp(src=%d,dst=5201),tcp_flags(0/0) ct(zone=1),recirc(%d)\n",
			0x22+i%6, i>>8, i&255, i>>8, i&255, i>>8, i&255, 256-1<<(i%8), i>>8, i&255, i+1, i+1)
	}
	return s.String()
}

// TestBenchDump lists 10,000 flows with ovs-dpctl and with a Conn, in turns, and
// reports the medians.
func TestBenchDump(t *testing.T) {
	benchtest.Need(t)
	runtime.LockOSThread() // never unlocked: the thread ends with its namespace
	home, err := netns.New()
	must(t, err)
	t.Cleanup(func() { home.Close() })
	c, err := Open(Config{Name: "bench"})
	if errors.Is(err, ErrNoDatapath) {
		missing(t, "openvswitch: "+err.Error())
	}
	must(t, err)
	t.Cleanup(func() { c.Close() })
	const n = 10_000
	dpctl(t, "", "add-dp", "bench") // nobody revalidates its flows away
	dpctl(t, script(n), "add-flows", "bench", "-")

	var ours, peer, build []float64
	for range 7 {
		began := time.Now()
		dpctl(t, "", "dump-flows", "-m", "bench")
		peer = append(peer, time.Since(began).Seconds())
		began = time.Now()
		all, err := c.Flows(t.Context())
		ours = append(ours, time.Since(began).Seconds())
		if len(all) != n || err != nil {
			t.Fatal(len(all), err)
		}
		began = time.Now()
		megaflow.NewTable(all)
		build = append(build, time.Since(began).Seconds())
	}
	t.Logf("%d flows: listed in %.0f ms, made a table in %.0f ms", n, 1000*benchtest.Median(ours), 1000*benchtest.Median(build))
	benchtest.Report(t, benchtest.Rate("megaflow-dump", "flows/s", n/benchtest.Median(ours), n/benchtest.Median(peer), "ovs-dpctl dump-flows"))
}

func dpctl(t *testing.T, input string, args ...string) {
	t.Helper()
	cmd := exec.Command("ovs-dpctl", args...)
	var errs strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader(input), &errs // what it prints goes to /dev/null
	// it tells of some failures by words alone
	if err := cmd.Run(); err != nil || strings.Contains(errs.String(), "ovs-dpctl:") {
		t.Fatalf("ovs-dpctl %s: %v\n%.500s", strings.Join(args, " "), err, errs.String())
	}
}
