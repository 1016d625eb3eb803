package conntrack

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/hack/benchtest"
)

// entryCount is the table size to measure with: FLOWSHUNT_BENCH_ENTRIES, else
// 500,000, or 20,000 with -short.
func entryCount(b *testing.B) int {
	b.Helper()
	if s := os.Getenv("FLOWSHUNT_BENCH_ENTRIES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatalf("FLOWSHUNT_BENCH_ENTRIES: %v", err)
		}
		return n
	}
	if testing.Short() {
		return 20_000
	}
	return 500_000
}

// fillTable enters a namespace with n established entries. The limit of the
// table is the host's: it is raised while the benchmark runs.
func fillTable(b *testing.B, n int) (netns int) {
	b.Helper()
	if os.Geteuid() != 0 {
		b.Skip("needs root")
	}
	raiseMax(b, n+n/4)
	netns = enterNetNS(b)
	create(b, netns, n, established)
	return netns
}

// raiseMax raises nf_conntrack_max in the initial namespace, where alone it can
// be set, and puts it back at the end.
func raiseMax(b *testing.B, n int) {
	b.Helper()
	const name = "nf_conntrack_max"
	old, err := readSysctl(name)
	if err != nil {
		b.Fatal(err)
	}
	if uint64(n) <= old {
		return
	}
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		defer unix.Close(home)
		err := inNetNS(home, func() error { // this thread is elsewhere by now
			return os.WriteFile(sysctlDir+name, []byte(strconv.FormatUint(old, 10)), 0o644)
		})
		if err != nil {
			b.Errorf("put back %s = %d: %v", name, old, err)
		}
	})
	setSysctl(b, name, n)
}

// BenchmarkDump500k compares a dump with that of conntrack(8), by turns.
func BenchmarkDump500k(b *testing.B) {
	n := entryCount(b)
	netns := fillTable(b, n)
	c := dial(b, Config{NetNS: netns})
	tool, err := exec.LookPath("conntrack")
	if err != nil {
		b.Skip("needs conntrack(8)")
	}
	dump := func() time.Duration {
		start, seen := time.Now(), 0
		err := c.Dump(context.Background(), Filter{}, func(*flows.Entry) error { seen++; return nil })
		if err != nil || seen != n {
			b.Fatalf("dump: %d of %d entries, error %v", seen, n, err)
		}
		return time.Since(start)
	}
	var theirUser []time.Duration
	peer := func() time.Duration {
		start := time.Now()
		cmd := exec.Command(tool, "-L") // in this thread's namespace, output to /dev/null
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
		theirUser = append(theirUser, cmd.ProcessState.UserTime())
		return time.Since(start)
	}
	floor := func() time.Duration {
		start := time.Now()
		receiveOnly(b)
		return time.Since(start)
	}
	dump() // grow the buffers
	allocs := testing.AllocsPerRun(1, func() { dump() })

	var ours, theirs, ourUser, floors []time.Duration
	for range 5 {
		theirs = append(theirs, peer())
		floors = append(floors, floor())
		before := userTime(b)
		ours = append(ours, dump())
		ourUser = append(ourUser, userTime(b)-before)
	}
	for b.Loop() {
		dump()
	}
	us, them := benchtest.Median(ours), benchtest.Median(theirs)
	usUser, themUser := benchtest.Median(ourUser), benchtest.Median(theirUser)
	ratio := them.Seconds() / us.Seconds()
	b.ReportMetric(float64(n)/us.Seconds(), "entries/s")
	b.ReportMetric(allocs/float64(n), "allocs/entry")
	b.ReportMetric(ratio, "x-conntrack-L")
	b.Logf("%d entries: %v, conntrack -L %v, %.0f allocations", n, us, them, allocs)
	least := benchtest.Median(floors)
	b.Logf("receiving without a look at it: %v", least)
	b.Logf("user space alone: %v, conntrack -L %v; the rest is the kernel's walk, the same for both", usUser, themUser)
	if n == 500_000 {
		benchtest.Report(b,
			benchtest.Row{Name: "conntrack-dump-500k", Unit: "s", Ours: us.Seconds(), Peer: them.Seconds(), PeerName: "conntrack -L", Ratio: ratio},
			benchtest.Row{Name: "conntrack-dump-500k-floor", Unit: "s", Ours: us.Seconds(), Peer: least.Seconds(), PeerName: "recvmsg without decoding", Ratio: least.Seconds() / us.Seconds()},
			benchtest.Row{Name: "conntrack-dump-500k-user-cpu", Unit: "s", Ours: usUser.Seconds(), Peer: themUser.Seconds(), PeerName: "conntrack -L", Ratio: themUser.Seconds() / usUser.Seconds()})
	}
}

// receiveOnly asks for a dump and throws it away: no reader with one socket can be
// faster than the kernel makes the messages.
func receiveOnly(b *testing.B) {
	b.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	ask := make([]byte, headers)
	binary.NativeEndian.PutUint32(ask, headers)
	binary.NativeEndian.PutUint16(ask[4:], msgGet)
	binary.NativeEndian.PutUint16(ask[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	if err := unix.Sendto(fd, ask, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil || n < netlinkHeader {
			b.Fatalf("receive: %d bytes, %v", n, err)
		}
		if binary.NativeEndian.Uint16(buf[4:]) == unix.NLMSG_DONE {
			return
		}
	}
}

// userTime is the CPU time that this process spent outside the kernel.
func userTime(b *testing.B) time.Duration {
	b.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano())
}

// BenchmarkKeyed measures reads and refreshes by key.
func BenchmarkKeyed(b *testing.B) {
	n := 20_000
	netns := fillTable(b, n)
	c := dial(b, Config{NetNS: netns})
	ctx := context.Background()
	var keys []flows.EntryKey
	if err := c.Dump(ctx, Filter{}, func(e *flows.Entry) error { keys = append(keys, e.Key); return nil }); err != nil {
		b.Fatal(err)
	}
	check := func(i int, _ *flows.Entry, err error) {
		if err != nil {
			b.Fatalf("%s: %v", keys[i].Tuple, err)
		}
	}
	rate := func(b *testing.B) { b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "entries/s") }

	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			if err := c.Get(ctx, keys, check); err != nil {
				b.Fatal(err)
			}
		}
		rate(b)
	})
	wanted := uint32(10_000)
	b.Run("refresh", func(b *testing.B) {
		for b.Loop() {
			wanted += 100 // so that each run writes
			refreshes := make([]Refresh, n)
			for i := range refreshes {
				refreshes[i] = Refresh{Key: keys[i], Timeout: wanted}
			}
			if err := c.Refresh(ctx, refreshes, check); err != nil {
				b.Fatal(err)
			}
		}
		rate(b)
	})
	b.Run("update", func(b *testing.B) {
		updates := make([]Update, n)
		for i := range updates {
			updates[i] = Update{Key: keys[i], TCP: ClearMaxAck}
		}
		for b.Loop() {
			if err := c.Update(ctx, updates, check); err != nil {
				b.Fatal(err)
			}
		}
		rate(b)
	})
}
