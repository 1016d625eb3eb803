package harness

import (
	"slices"
	"testing"
)

func TestUnexpected(t *testing.T) {
	const log = `2026-11-22T06:27:04.591Z|00049|bridge|INFO|bridge br0: deleted interface rep-vm1 on port 5
2026-11-22T06:27:05.313Z|00050|bridge|WARN|could not open network device rep-vm1 (No such device)
2026-11-22T06:27:05.596Z|00051|ofproto_dpif_upcall(revalidator3)|WARN|Failed to acquire udpif_key corresponding to unexpected flow (No such file or directory): ufid:1
2026-11-22T06:27:05.597Z|00052|timeval|WARN|Unreasonably long 1200ms poll interval
2026-11-22T06:27:05.597Z|00002|timeval(revalidator16)|WARN|context switches: 0 voluntary, 2 involuntary
2026-11-22T06:27:05.597Z|00003|ofproto|WARN|br0: cannot get RSTP status on nonexistent port 2
2026-11-22T06:27:05.598Z|00053|util|EMER|assertion failed
2026-11-22T06:27:05.599Z|00054|netdev_linux|WARN|rep-vm1: adding policing qdisc failed: File exists
2026-11-22T06:27:05.600Z|00055|netdev_linux|WARN|rep-vm1: adding policing qdisc failed: Invalid argument
`
	want := []string{
		"2026-11-22T06:27:05.596Z|00051|ofproto_dpif_upcall(revalidator3)|WARN|Failed to acquire udpif_key corresponding to unexpected flow (No such file or directory): ufid:1",
		"2026-11-22T06:27:05.598Z|00053|util|EMER|assertion failed",
		"2026-11-22T06:27:05.600Z|00055|netdev_linux|WARN|rep-vm1: adding policing qdisc failed: Invalid argument",
	}
	if got := unexpected(log); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestNewKernelLog(t *testing.T) {
	const before = "[1.0] a\n[2.0] b\n[3.0] c\n"
	for now, want := range map[string]string{
		before:                "",
		before + "[4.0] d\n":  "[4.0] d\n",
		"[3.0] c\n[4.0] d\n":  "[4.0] d\n", // the ring has lost its oldest lines
		"[4.0] d\n[5.0] e\n":  "[4.0] d\n[5.0] e\n",
		"[3.0] cc\n[4.0] d\n": "[3.0] cc\n[4.0] d\n",
	} {
		if got := newKernelLog(before, now); got != want {
			t.Errorf("%q: %q, want %q", now, got, want)
		}
	}
	if got := newKernelLog("", "[1.0] a\n"); got != "[1.0] a\n" {
		t.Errorf("%q", got)
	}
}

func TestFaults(t *testing.T) {
	for line, want := range map[string]bool{
		"[   71.3] WARNING: CPU: 0 PID: 7 at net/core/dev.c:1 f+0x1":                                                             true,
		"[   41.8] WARNING: CPU: 1 PID: 645 at include/net/ip_tunnels.h:707 validate_and_copy_set_tun+0x3dd/0x420 [openvswitch]": false,
		"[   41.8] WARNING: CPU: 1 PID: 645 at include/net/ip_tunnels.h:707 eswsim_encap+0x3dd/0x420 [eswsim]":                   true,
		"[   71.3] BUG: kernel NULL pointer dereference":                                                                         true,
		"[   71.3] kernel BUG at lib/list_debug.c:29!":                                                                           true,
		"[   71.3] BUG kmalloc-64 (Tainted: G    OE): Poison written":                                                            true,
		"[   71.3] refcount_t: underflow; use-after-free.":                                                                       true,
		"[   71.3] watchdog: BUG: soft lockup - CPU#1 stuck for 22s!":                                                            false,
		"[   71.3] eswsim: loading out-of-tree module taints kernel.":                                                            false,
	} {
		if isFault(line) != want {
			t.Errorf("%q: %v", line, !want)
		}
	}
}
