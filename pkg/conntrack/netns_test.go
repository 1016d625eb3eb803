package conntrack

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// enterNetNS moves the test to a fresh network namespace on a thread of its own
// and returns a file descriptor of it. Thread and namespace end with the test.
func enterNetNS(t testing.TB) int {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN for a network namespace)")
	}
	runtime.LockOSThread() // never unlocked
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare network namespace: %v", err)
	}
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	setSysctl(t, "nf_conntrack_events", 1)
	setSysctl(t, "nf_conntrack_acct", 1)
	setSysctl(t, "nf_conntrack_timestamp", 1)
	return fd
}

// setSysctl writes a value of the calling thread's network namespace.
func setSysctl(t testing.TB, name string, value int) {
	t.Helper()
	if err := os.WriteFile(sysctlDir+name, []byte(strconv.Itoa(value)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func dial(t testing.TB, cfg Config) *Conn {
	t.Helper()
	c, err := Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
