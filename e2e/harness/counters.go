package harness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
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
