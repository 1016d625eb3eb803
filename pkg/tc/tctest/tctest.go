// Package tctest gives tests of traffic control a network namespace of their own
// and what they need in it.
package tctest

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespace moves the test onto a thread of its own in a new network namespace,
// with loopback up. Both end with the test: the thread is never given back, and
// the namespace goes with the last process, socket and thread in it.
func Namespace(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "network namespaces need root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	Run(t, "ip link set lo up")
}

// Veth makes a pair of veth devices that are up.
func Veth(t testing.TB, a, b string) {
	t.Helper()
	Run(t, "ip link add "+a+" type veth peer name "+b)
	Run(t, "ip link set "+a+" up")
	Run(t, "ip link set "+b+" up")
}

// Index returns the ifindex of a device in the thread's namespace.
func Index(t testing.TB, name string) int32 {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		t.Fatalf("ifindex of %s: %v", name, err)
	}
	return int32(req.Uint32())
}

// Run runs a command of words in the thread's namespace and returns its output.
func Run(t testing.TB, command string) string {
	t.Helper()
	words := strings.Fields(command)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// NeedFlower skips the test where the kernel has no cls_flower, or fails it where
// FLOWSHUNT_E2E=must says that there has to be one.
func NeedFlower(t testing.TB) {
	t.Helper()
	if !HasFlower() {
		skip(t, "cls_flower: this kernel has none")
	}
}

// HasFlower asks the kernel for what needs cls_flower and act_mirred.
var HasFlower = sync.OnceValue(func() bool {
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends in its namespace
		if unix.Unshare(unix.CLONE_NEWNET) != nil {
			done <- false
			return
		}
		for _, command := range []string{
			"ip link set lo up",
			"tc qdisc add dev lo clsact",
			"tc filter add dev lo ingress protocol ip flower skip_hw ip_proto tcp action mirred egress redirect dev lo",
		} {
			words := strings.Fields(command)
			if exec.Command(words[0], words[1:]...).Run() != nil {
				done <- false
				return
			}
		}
		done <- true
	}()
	return <-done
})

func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("FLOWSHUNT_E2E") == "must" {
		t.Fatal(why)
	}
	t.Skip(why)
}
