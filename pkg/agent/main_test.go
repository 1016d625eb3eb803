package agent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// inNamespace is set for the process that is alone in its network namespace.
const inNamespace = "FLOWSHUNT_TEST_NETNS"

// TestMain runs the tests in a network namespace that this process has for itself,
// with no more capabilities than the systemd unit gives an agent. An agent works
// with many goroutines, on whatever threads, so one locked thread in a namespace
// would not do.
func TestMain(m *testing.M) {
	if os.Geteuid() == 0 && os.Getenv(inNamespace) == "" {
		os.Exit(again())
	}
	goleak.VerifyTestMain(m)
}

func again() int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the child has the bounds of the thread that starts it
	if err := boundCapabilities("../../hack/systemd/flowshuntd.service"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// capabilities are those that the unit may name (include/uapi/linux/capability.h).
var capabilities = map[string]uintptr{
	"CAP_CHOWN": unix.CAP_CHOWN, "CAP_DAC_OVERRIDE": unix.CAP_DAC_OVERRIDE,
	"CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_NET_RAW": unix.CAP_NET_RAW,
}

// boundCapabilities takes from what this thread starts the capabilities that the
// unit does not grant.
func boundCapabilities(unit string) error {
	text, err := os.ReadFile(unit)
	if err != nil {
		return err
	}
	_, line, found := strings.Cut(string(text), "\nCapabilityBoundingSet=")
	if !found {
		return fmt.Errorf("%s bounds no capabilities", unit)
	}
	line, _, _ = strings.Cut(line, "\n")
	granted := make(map[uintptr]bool)
	for _, name := range strings.Fields(line) {
		n, known := capabilities[name]
		if !known {
			return fmt.Errorf("%s grants %s, which this test does not know", unit, name)
		}
		granted[n] = true
	}
	for n := range uintptr(unix.CAP_LAST_CAP + 1) {
		if granted[n] {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, n, 0, 0, 0); err != nil && err != unix.EINVAL {
			return fmt.Errorf("give up capability %d: %w", n, err)
		}
	}
	return nil
}

// needNamespace skips a test that needs a namespace of its own.
func needNamespace(t *testing.T) {
	t.Helper()
	if os.Getenv(inNamespace) == "" {
		t.Skip("network namespaces need root")
	}
}

// sysctl sets a conntrack switch of the namespace.
func sysctl(t *testing.T, name, value string) {
	t.Helper()
	path := filepath.Join("/proc/sys/net/netfilter", name)
	old, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("conntrack: %v", err)
	}
	write := func(v []byte) {
		if err := os.WriteFile(path, v, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte(value))
	t.Cleanup(func() { write(old) })
}
