package agent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// inNamespace is set for the process that is alone in its network namespace.
const inNamespace = "FLOWSHUNT_TEST_NETNS"

// TestMain runs the tests in a network namespace that this process has for itself.
// An agent works with many goroutines, on whatever threads, so one locked thread in
// a namespace would not do.
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
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
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
