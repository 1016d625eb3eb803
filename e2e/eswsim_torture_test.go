package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/e2e/harness"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// inside runs f on a thread of its own that is in a namespace.
func (b *bench) inside(ns string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		fd, err := os.Open("/run/netns/" + ns)
		if err == nil {
			defer fd.Close()
			err = unix.Setns(int(fd.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// background runs a command in a namespace until stop is called, or it ends.
func (b *bench) background(ns string, args ...string) (stop func()) {
	b.Helper()
	cmd := exec.Command("nsenter", append([]string{"--net=/run/netns/" + ns}, args...)...)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// traffic makes packets go both ways between the first two VFs.
func (b *bench) traffic() (stop func()) {
	b.Helper()
	server := b.background(b.vms[1], "iperf3", "-s")
	stops := []func(){
		b.background(b.vms[0], "ping", "-q", "-f", "10.0.0.2"),
		b.background(b.vms[0], "sh", "-c", "while sleep 0.1; do iperf3 -c 10.0.0.2 -t 1000 >/dev/null 2>&1; done"),
		server,
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// churnRule is one of many rules of a representor. They have four masks, one for each
// preference, so that tiers of the table come and go.
func churnRule(link, out int32, i int) *tc.Filter {
	f := &tc.Filter{
		Link: link, Parent: tc.Ingress, Pref: uint16(10 + i%4), Protocol: unix.ETH_P_IP,
		Kind: tc.KindFlower, Handle: uint32(i + 1), Flags: tc.SkipSW,
		Match:   tc.Match{IPProto: unix.IPPROTO_UDP, DstPort: tc.ExactPort(uint16(i))},
		Actions: []tc.Action{{Kind: tc.KindMirred, Op: tc.EgressRedirect, Verdict: tc.Stolen, Link: out}},
	}
	addr := netip.AddrFrom4([4]byte{10, 1, byte(i >> 16), 1})
	if i&1 != 0 {
		f.Match.Src = tc.ExactAddr(addr)
	} else {
		f.Match.Src = tc.PrefixMatch(netip.PrefixFrom(addr, 24).Masked())
	}
	if i&2 != 0 {
		f.Match.SrcPort = tc.ExactPort(7)
	}
	return f
}

// churn inserts and removes n rules of a representor, 500 at a time.
func churn(link, out int32, n int) error {
	const batch = 500
	conn, err := tc.Dial(tc.Config{})
	if err != nil {
		return err
	}
	defer conn.Close()
	results := make([]tc.Result, batch)
	for from := 0; from < n; from += batch {
		var add, del tc.Batch
		for i := from; i < from+batch; i++ {
			f := churnRule(link, out, i)
			if err := errors.Join(add.AddFilter(f, tc.Exclusive), del.DeleteFilter(f)); err != nil {
				return err
			}
		}
		for _, b := range []*tc.Batch{&add, &del} {
			if err := conn.Do(context.Background(), b, results); err != nil {
				return err
			}
			for i, r := range results {
				if r.Err != nil {
					return fmt.Errorf("rule %d: %w", from+i, r.Err)
				}
			}
		}
	}
	return nil
}

// Rules come and go on two ports at once while packets go through.
func TestModelChurnEswsim(t *testing.T) {
	n := 20_000
	if torture() {
		n = 1_000_000
	}
	kernelQuiet(t)
	b := newBench(t, 2, "")
	b.fastPath()
	links := []int32{int32(b.device(b.host, b.rep(0)).Index), int32(b.device(b.host, b.rep(1)).Index)}
	// Warm, so that what the kernel keeps for good is there before.
	if err := b.inside(b.host, func() error { return churn(links[0], links[1], 2000) }); err != nil {
		t.Fatal(err)
	}
	before := b.counters()
	memory := kernelMemory(t)
	stop := b.traffic()
	defer stop()
	start := time.Now()
	errs := make(chan error)
	for i := range links {
		go func() {
			errs <- b.inside(b.host, func() error { return churn(links[i], links[1-i], n/2) })
		}()
	}
	if err := errors.Join(<-errs, <-errs); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	stop()
	g := b.grown(before)
	t.Logf("model: %d rules in and out in %v, %.0f of each per second; meanwhile %d packets by rules, %d not", n, took,
		float64(n)/took.Seconds(), g["hits"], g["misses"])
	if g["adds"] != uint64(n) || g["dels"] != uint64(n) || g["hits"] == 0 || b.counters()["rules"] != 2 {
		t.Errorf("after %d rules: %v", n, g)
	}
	memoryIsBack(t, memory)
	b.remove(0, 100)
	b.remove(1, 100)
	noRules(t)
}

// The module goes in the middle of everything and comes again.
func TestModelUnloadEswsim(t *testing.T) {
	slowly(t)
	rounds := 5
	if torture() {
		rounds = 100
	}
	kernelQuiet(t)
	b := newBench(t, 2, "")
	b.unloadBusy(true) // the first time, things are allocated for good
	memory := kernelMemory(t)
	for i := range rounds {
		b.unloadBusy(i%2 == 1)
	}
	memoryIsBack(t, memory)
}

// unloadBusy unloads the module while packets flow, rules come and files are read, with
// or without deleting the NIC before, and loads it again.
func (b *bench) unloadBusy(del bool) {
	b.Helper()
	if _, err := os.Stat(filepath.Join(eswsimControl, b.nic)); err != nil {
		b.again()
	}
	b.fastPath()
	stop := b.traffic()
	defer stop()
	var wg sync.WaitGroup
	var ended atomic.Bool
	links := []int32{int32(b.device(b.host, b.rep(0)).Index), int32(b.device(b.host, b.rep(1)).Index)}
	for i := range links {
		wg.Go(func() {
			for !ended.Load() { // fails as soon as the devices are gone
				if b.inside(b.host, func() error { return churn(links[i], links[1-i], 2000) }) != nil {
					return
				}
			}
		})
	}
	wg.Go(func() {
		for !ended.Load() {
			_, _ = os.ReadFile(filepath.Join(eswsimControl, b.nic, "rules"))
			<-time.After(200 * time.Millisecond) // while it is open, the module stays
		}
	})
	harness.Within(b, patience, "packets and rules go through", func() error {
		if c := b.counters(); c["hits"] < 200 || c["adds"] < 1000 {
			return fmt.Errorf("%v", c)
		}
		return nil
	})
	if del {
		b.order("del", b.nic)
	}
	harness.Within(b, patience, "rmmod", func() error {
		_, err := b.try("", "", "rmmod", "eswsim") // refused while a file is open
		return err
	})
	ended.Store(true)
	wg.Wait()
	stop()
	release := strings.TrimSpace(b.in("", "uname", "-r"))
	b.in("", "insmod", filepath.Join("../build/eswsim", release, "eswsim.ko"))
}

// again makes the NIC of the bench once more, after it went with the module.
func (b *bench) again() {
	b.Helper()
	b.order("new", fmt.Sprintf("%s vfs=%d uplinks=1", b.nic, len(b.vms)))
	var host strings.Builder
	for i, vm := range b.vms {
		fmt.Fprintf(&host, "link set %s up\nlink set %s address %s netns %s\n", b.rep(i), b.vf(i), b.mac(i), vm)
	}
	b.feed(b.host, host.String(), "ip", "-batch", "-")
	for i, vm := range b.vms {
		b.in(b.host, "tc", "qdisc", "add", "dev", b.rep(i), "clsact")
		vmBatch := fmt.Sprintf("addr add 10.0.0.%d/24 dev %s\nlink set %[2]s up\n", i+1, b.vf(i))
		if len(b.vms) > 1 {
			vmBatch += fmt.Sprintf("neigh replace 10.0.0.%d lladdr %s dev %s\n", 2-i, b.mac(1-i), b.vf(i))
		}
		b.feed(vm, vmBatch, "ip", "-batch", "-")
	}
}
