package harness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// DeviceCounters are what the kernel has counted at a network device.
type DeviceCounters struct{ RxBytes, RxPackets, TxBytes, TxPackets uint64 }

// Bytes is both ways.
func (c DeviceCounters) Bytes() uint64 { return c.RxBytes + c.TxBytes }

// Counters reads the counters of a device in the namespace, at the price of a file.
func (ns *Namespace) Counters(t testing.TB, dev string) (c DeviceCounters) {
	t.Helper()
	err := ns.inside(func() error {
		table, err := os.ReadFile("/proc/thread-self/net/dev")
		if err == nil {
			c, err = parseDevice(string(table), dev)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parseDevice(table, dev string) (c DeviceCounters, err error) {
	for line := range strings.Lines(table) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name != dev {
			continue
		}
		columns := strings.Fields(rest)
		for i, n := range map[int]*uint64{0: &c.RxBytes, 1: &c.RxPackets, 8: &c.TxBytes, 9: &c.TxPackets} {
			if i >= len(columns) {
				return c, fmt.Errorf("/proc/net/dev: %d columns in %q", len(columns), line)
			}
			if *n, err = strconv.ParseUint(columns[i], 10, 64); err != nil {
				return c, fmt.Errorf("/proc/net/dev: %w in %q", err, line)
			}
		}
		return c, nil
	}
	return c, fmt.Errorf("/proc/net/dev: no device %s", dev)
}

// Busy is how long the machine's processors have worked so far, all together, for
// whatever purpose: 10 ms at a time, of which a tick sees who works just then.
func Busy(t testing.TB) time.Duration {
	t.Helper()
	b, err := os.ReadFile("/proc/stat")
	if err == nil {
		var busy time.Duration
		if busy, err = parseBusy(string(b)); err == nil {
			return busy
		}
	}
	t.Fatal(err)
	return 0
}

func parseBusy(stat string) (busy time.Duration, err error) {
	const user, nice, system, irq, softirq = 1, 2, 3, 6, 7
	const tick = 10 * time.Millisecond // USER_HZ
	line, _, _ := strings.Cut(stat, "\n")
	columns := strings.Fields(line)
	if len(columns) <= softirq || columns[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat: %q", line)
	}
	for _, i := range []int{user, nice, system, irq, softirq} {
		n, err := strconv.ParseUint(columns[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w in %q", err, line)
		}
		busy += time.Duration(n) * tick
	}
	return busy, nil
}
