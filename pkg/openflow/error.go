package openflow

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// What an error of this package wraps, besides a context's error.
var (
	// ErrNotRunning means that there is no socket, or nobody who listens on it:
	// no such bridge, or ovs-vswitchd does not run.
	ErrNotRunning = errors.New("bridge is not there")
	// ErrPermission means that the socket may not be used.
	ErrPermission = errors.New("permission denied")
	// ErrVersion means that the bridge speaks no version that this package does.
	ErrVersion = errors.New("no common OpenFlow version")
	// ErrProtocol means that the bridge sent what no OVS sends.
	ErrProtocol = errors.New("malformed message")
	// ErrSilent means that the bridge left a probe unanswered.
	ErrSilent = errors.New("bridge does not answer")
	// ErrClosed means that the bridge ended the connection.
	ErrClosed = errors.New("bridge closed the connection")
	// ErrPaused means that OVS left out changes, because it had too many for us.
	ErrPaused = errors.New("bridge paused the flow monitor")
	// ErrOverrun means that more changes came than the handler took.
	ErrOverrun = errors.New("too many changes at once")
)

// reachError says why the bridge was not reached.
func reachError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrPermission, err)
	default:
		return err
	}
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrProtocol, what) }
