package openflow

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// TestWays changes flows in the ways that there are.
func TestWays(t *testing.T) {
	b := newBridge(t)
	for _, v := range []Version{OpenFlow10, OpenFlow13, OpenFlow15} {
		t.Run(v.String(), func(t *testing.T) {
			r, _ := start(t, Config{Socket: b.socket(), offer: 1 << v})
			r.watching(t)
			bundle(t, b, r)
			replacedFlow(t, b, r)
			expiry(t, b, r)
			learning(t, b, r)
			flushed(t, b, r)
		})
	}
}

func tables(t *testing.T, r *recorder, k Kind, n int) map[uint8]int {
	t.Helper()
	seen := map[uint8]int{}
	for range n {
		c := r.flow(t)
		if c.Kind != k {
			t.Errorf("want %v: %+v", k, c)
		}
		seen[c.Table]++
	}
	return seen
}

func bundle(t *testing.T, b *bridge, r *recorder) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "flows")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("table=1,ip,actions=drop\ntable=2,ip,actions=drop\ntable=3,ip,actions=drop\n")
	b.ofctl("--bundle", "replace-flows", "br0", file)
	if seen := tables(t, r, FlowAdded, 3); len(seen) != 3 {
		t.Errorf("bundle added %v", seen)
	}
	write("table=1,ip,actions=drop\n")
	b.ofctl("--bundle", "replace-flows", "br0", file)
	if seen := tables(t, r, FlowDeleted, 2); seen[2] != 1 || seen[3] != 1 {
		t.Errorf("bundle deleted %v", seen)
	}
	b.ofctl("del-flows", "br0")
	tables(t, r, FlowDeleted, 1)
}

func replacedFlow(t *testing.T, b *bridge, r *recorder) {
	t.Helper()
	b.ofctl("add-flow", "br0", "table=4,ip,actions=drop")
	tables(t, r, FlowAdded, 1)
	b.ofctl("add-flow", "br0", "table=4,ip,actions=output:7")
	if c := r.flow(t); c.Kind != FlowModified && c.Kind != FlowAdded {
		t.Errorf("replaced: %+v", c)
	}
	b.ofctl("--strict", "del-flows", "br0", "table=4,ip")
	tables(t, r, FlowDeleted, 1)
}

func expiry(t *testing.T, b *bridge, r *recorder) {
	t.Helper()
	b.ofctl("add-flow", "br0", "table=5,hard_timeout=1,ip,actions=drop")
	tables(t, r, FlowAdded, 1)
	tables(t, r, FlowDeleted, 1)
}

// learning sends a frame through the bridge, whose flow learns another.
func learning(t *testing.T, b *bridge, r *recorder) {
	t.Helper()
	b.ofctl("add-flow", "br0", "table=0,priority=9,dl_src=02:00:00:00:00:0a,actions=learn(table=6,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])")
	tables(t, r, FlowAdded, 1)
	b.send(t)
	learned := *r.until(t, isKind(FlowAdded)).change // the port came up before
	if learned.Table != 6 || learned.Match.DstMAC != [6]byte{2, 0, 0, 0, 0, 10} {
		t.Errorf("learned: %+v", learned)
	}
	b.ofctl("del-flows", "br0")
	tables(t, r, FlowDeleted, 2)
}

// send sends a frame from 02:00:00:00:00:0a into the bridge by its own port.
func (b *bridge) send(t *testing.T) {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		err := netns.Set(b.ns)
		if err == nil {
			err = sendFrame("br0")
		}
		result <- err
	}()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

func sendFrame(name string) error {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	if err := up(name); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	frame := make([]byte, 60)
	copy(frame, "\x02\x00\x00\x00\x00\x0b\x02\x00\x00\x00\x00\x0a\x12\x34")
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link.Index, Halen: 6})
}

func up(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// flushed changes the fail mode: without a controller that empties all tables.
func flushed(t *testing.T, b *bridge, r *recorder) {
	t.Helper()
	b.ofctl("add-flow", "br0", "table=7,ip,actions=drop")
	tables(t, r, FlowAdded, 1)
	b.Vsctl("set", "bridge", "br0", "fail_mode=standalone")
	if seen := tables(t, r, FlowDeleted, 1); seen[7] != 1 {
		t.Errorf("flushed %v", seen)
	}
	if c := r.flow(t); c != (Change{Kind: FlowAdded}) {
		t.Errorf("the flow of a standalone bridge: %+v", c)
	}
	b.Vsctl("set", "bridge", "br0", "fail_mode=secure")
	tables(t, r, FlowDeleted, 1)
}

// TestManyAtOnce replaces 10,000 flows in one bundle: each change is told, or
// that changes were lost; and afterwards the next change is told again.
func TestManyAtOnce(t *testing.T) {
	b := newBridge(t)
	for _, v := range []Version{OpenFlow10, OpenFlow13, OpenFlow15} {
		for _, pending := range []int{0, 100_000} {
			t.Run(fmt.Sprintf("%v pending %d", v, pending), func(t *testing.T) {
				r, _ := start(t, Config{Socket: b.socket(), Pending: pending, offer: 1 << v})
				r.watching(t)
				for round := range 2 {
					begin := time.Now()
					b.replace(t, 10_000, round+1)
					took := time.Since(begin)
					counts, reason := b.settle(t, r)
					t.Logf("bundle took %v, all told after %v: %v, lost: %v", took, time.Since(begin), counts, reason)
					if reason == nil && (counts[FlowAdded] != 10_000 || counts[FlowDeleted] != round*10_000) {
						t.Errorf("lost in silence: %v", counts)
					}
				}
				b.ofctl("del-flows", "br0")
			})
		}
	}
}

const settleTable = 250

// settle adds flows until one is told, and returns what was told before: a
// change made while blind need not be.
func (b *bridge) settle(t *testing.T, r *recorder) (map[Kind]int, error) {
	t.Helper()
	counts, reason := map[Kind]int{}, error(nil)
	for {
		b.settled++
		b.ofctl("add-flow", "br0", fmt.Sprintf("table=%d,priority=%d,actions=drop", settleTable, b.settled))
		for {
			c := r.next(t)
			if c.change != nil && c.change.Table == settleTable {
				if c.change.Kind == FlowAdded && c.change.Priority == b.settled {
					return counts, reason
				}
				continue
			}
			if c.change != nil {
				counts[c.change.Kind]++
			}
			if c.lost != nil {
				reason = c.lost
			}
			if c.watching != 0 {
				break
			}
		}
	}
}

func (b *bridge) replace(t *testing.T, n, table int) {
	t.Helper()
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "table=%d,tcp,nw_dst=10.0.%d.%d,tp_dst=80,actions=drop\n", table, i>>8, i&255)
	}
	file := filepath.Join(t.TempDir(), "flows")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b.ofctl("--bundle", "replace-flows", "br0", file)
}

// TestKilled kills ovs-vswitchd.
func TestKilled(t *testing.T) {
	b := newBridge(t)
	r, ended := start(t, Config{Socket: b.socket()})
	r.watching(t)
	begin := time.Now()
	if err := unix.Kill(b.pid(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if c := r.next(t); !errors.Is(c.lost, ErrClosed) || c.at.Sub(begin) > time.Second {
		t.Errorf("after %v: %+v", c.at.Sub(begin), c)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("Watch: %v", err)
	}
	deadline := time.Now().Add(patience)
	for { // a process that dies still accepts for a moment
		r, ended = start(t, Config{Socket: b.socket()})
		err := <-ended
		if len(r.calls) != 0 {
			t.Fatalf("told %+v", r.calls)
		}
		if errors.Is(err, ErrNotRunning) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens: %v", err)
		}
	}
}

// TestHung stops ovs-vswitchd: it stays connected, and silent.
func TestHung(t *testing.T) {
	b := newBridge(t)
	r, ended := start(t, Config{Socket: b.socket(), Idle: 50 * time.Millisecond, Timeout: 500 * time.Millisecond})
	r.watching(t)
	pid := b.pid()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(pid, unix.SIGCONT) })
	if c := r.next(t); !errors.Is(c.lost, ErrSilent) {
		t.Errorf("%+v", c)
	}
	if err := <-ended; !errors.Is(err, ErrSilent) {
		t.Errorf("Watch: %v", err)
	}
}

// TestReconfigured forbids the version that is in use, and deletes the bridge.
func TestReconfigured(t *testing.T) {
	b := newBridge(t)
	r, _ := startFollow(t, Config{Socket: b.socket()})
	if v := r.watching(t); v != OpenFlow15 {
		t.Errorf("watching with %v", v)
	}
	b.protocols(OpenFlow10, OpenFlow13)
	r.until(t, isLost)
	if v := r.until(t, isWatching).watching; v != OpenFlow13 {
		t.Errorf("watching with %v", v)
	}
	b.Vsctl("del-br", "br0")
	r.until(t, isLost)
	if c := r.next(t); !errors.Is(c.lost, ErrNotRunning) {
		t.Errorf("no bridge: %+v", c)
	}
	b.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	r.until(t, isWatching)
}
