package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// HostLoad is what traffic has cost the hosts of worlds so far, without the machines on them
// and without the NICs.
type HostLoad struct {
	Time    time.Duration // that has passed
	Kernel  time.Duration // of the threads that Threaded makes: all that is done with packets
	Daemons time.Duration // of Open vSwitch's, OVN's controllers and what else is named
	Packets uint64        // that the NICs gave to the hosts, as they are on a wire
	Lookups uint64        // of the datapath: at least one for each packet
}

// Since is what was added.
func (l HostLoad) Since(before HostLoad) HostLoad {
	return HostLoad{l.Time - before.Time, l.Kernel - before.Kernel, l.Daemons - before.Daemons, l.Packets - before.Packets, l.Lookups - before.Lookups}
}

// epoch is when HostLoad.Time was nothing.
var epoch = time.Now()

// Threaded makes a thread of the kernel's for each device of the namespace take in the
// device's packets: what those cost is counted as the thread's then, and no other's.
func (ns *Namespace) Threaded(t testing.TB) {
	t.Helper()
	// devices that have no NAPI, such as lo, refuse
	cmd := ns.contained([]string{"sh", "-c", `for f in /sys/class/net/*/threaded; do echo 1 >$f || :; done`})
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("threads for devices: %v: %s", err, out)
	}
}

// Load reads what the hosts of worlds, all of which have a NIC and are Threaded, have
// spent until now.
func Load(t testing.TB, o *OVN, daemons []*Process, worlds ...*World) (l HostLoad) {
	t.Helper()
	devices := make(map[string]bool)
	for _, w := range worlds {
		daemons = append(daemons, w.ovsdb, w.vswitchd)
		for _, dev := range w.devicesOfHost() {
			devices[dev] = true
		}
		nic := w.NIC.Counters(t)
		l.Packets += nic.Misses
		l.Kernel -= nic.HostCPU
		l.Lookups += w.lookups()
	}
	for _, name := range o.controllers() {
		daemons = append(daemons, o.daemons[name])
	}
	for _, d := range daemons {
		l.Daemons += cpuOf(t, d.Pid())
	}
	for _, pid := range receivers(t, devices) {
		l.Kernel += cpuOf(t, pid)
	}
	l.Time = time.Since(epoch)
	return l
}

// devicesOfHost are those by which packets come in from machines, uplinks and tunnels.
func (w *World) devicesOfHost() []string {
	devices := append([]string(nil), w.rulePorts...)
	if w.Tunnel != nil {
		devices = append(devices, w.Tunnel.Dev)
	}
	for _, vm := range w.vms {
		devices = append(devices, vm.Rep)
	}
	return devices
}

var lookupsLine = regexp.MustCompile(`lookups: hit:(\d+) missed:(\d+)`)

func (w *World) lookups() (n uint64) {
	w.T.Helper()
	out := w.Run(w.T, "ovs-appctl", "dpctl/show")
	m := lookupsLine.FindStringSubmatch(out)
	if m == nil {
		w.T.Fatalf("dpctl/show: %s", out)
	}
	for _, text := range m[1:] {
		k, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			w.T.Fatal(err)
		}
		n += k
	}
	return n
}

// receivers are the kernel's threads that take in packets of devices.
func receivers(t testing.TB, devices map[string]bool) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		comm, err := os.ReadFile(file)
		dev, is := strings.CutPrefix(strings.TrimSpace(string(comm)), "napi/")
		i := strings.LastIndexByte(dev, '-')
		if err != nil || !is || i < 0 || !devices[dev[:i]] {
			continue // a process that has ended, or any other
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) < len(devices) {
		t.Fatalf("%d threads take in packets of %v", len(pids), devices)
	}
	return pids
}

// cpuOf is the time that the threads of a process have run, by the scheduler's account.
func cpuOf(t testing.TB, pid int) (sum time.Duration) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		sum += time.Duration(ns)
	}
	return sum
}
