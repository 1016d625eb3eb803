package unixctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// What a failed call wraps, besides the context's error when time ran out.
var (
	// ErrNotRunning means that there is no pidfile, no socket, or nobody who
	// listens on it.
	ErrNotRunning = errors.New("daemon is not running")
	// ErrPermission means that the pidfile or the socket may not be used.
	ErrPermission = errors.New("permission denied")
	// ErrProtocol means that the reply is not what OVS sends.
	ErrProtocol = errors.New("malformed reply")
)

// MethodError is the daemon's own refusal of a call.
type MethodError struct {
	Method  string
	Message string
}

// Error returns the text.
func (e *MethodError) Error() string { return fmt.Sprintf("%s: %s", e.Method, e.Message) }

// reachError says why the daemon was not reached.
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

// ioError prefers the context's reason to the deadline that carried it out.
func ioError(ctxErr, err error) error {
	if ctxErr != nil {
		return ctxErr
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no reply: %w", err)
	}
	return err
}
