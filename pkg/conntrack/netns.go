package conntrack

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// inNetNS runs f in the network namespace behind the file descriptor fd, 0 being
// the caller's own. It works on a goroutine of its own: should the way back
// fail, that one stays locked to its thread, so that no other ever runs there.
func inNetNS(fd int, f func() error) error {
	if fd == 0 {
		return f()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := visitNetNS(fd, f)
		if home {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// visitNetNS runs f in another namespace on a locked thread and reports whether
// the thread is back in its own.
func visitNetNS(fd int, f func() error) (home bool, err error) {
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return true, fmt.Errorf("open own network namespace: %w", err)
	}
	defer own.Close()
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return true, fmt.Errorf("enter network namespace: %w", err)
	}
	err = f()
	return unix.Setns(int(own.Fd()), unix.CLONE_NEWNET) == nil, err
}
