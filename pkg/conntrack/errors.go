package conntrack

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// What callers tell apart with errors.Is.
var (
	// ErrNotFound: no entry has this tuple in this zone, or the one that has
	// it has another id and is another connection.
	ErrNotFound = errors.New("conntrack entry not found")

	// ErrReplaced: the entry vanished while it was being changed and another
	// connection with the same tuple stands there. The change may have hit
	// the newcomer.
	ErrReplaced = errors.New("conntrack entry was replaced while it was changed")

	// ErrClosing: the entry is dying or its TCP state is a closing one, so
	// that its timeout must not be raised any more.
	ErrClosing = errors.New("conntrack entry is closing")

	// ErrNoLabels: the entry has no labels, because nothing used any when it was
	// made, and cannot get them any more.
	ErrNoLabels = errors.New("conntrack entry has no labels")

	// ErrOverrun: the kernel had more to say than the socket's receive buffer
	// holds and dropped some of it. What was missed is unknown.
	ErrOverrun = errors.New("conntrack messages lost: receive buffer overrun")

	// ErrDumpInterrupted: the table changed under the dump in a way that may
	// have hidden entries: one that was not seen need not be gone.
	ErrDumpInterrupted = errors.New("conntrack dump interrupted by a table change")
)

// Error is the kernel's refusal of a request.
type Error struct {
	Op      string // "dump", "get", "update", "delete"
	Errno   unix.Errno
	Message string // the extended acknowledgement's text, often empty
}

// Error implements error.
func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("conntrack %s: %s", e.Op, e.Errno)
	}
	return fmt.Sprintf("conntrack %s: %s: %s", e.Op, e.Errno, e.Message)
}

// Unwrap returns what callers compare with: ErrNotFound, ErrClosing (the entry
// is dying), ErrNoLabels or the errno.
func (e *Error) Unwrap() error {
	switch e.Errno {
	case unix.ENOENT:
		return ErrNotFound
	case unix.ETIME:
		return ErrClosing
	case unix.ENOSPC: // in updates; nf_connlabels_replace
		return ErrNoLabels
	default:
		return e.Errno
	}
}

// refusal turns an NLMSG_ERROR into an error, nil for an acknowledgement.
func refusal(op string, m *message) error {
	errno, text, err := m.errno()
	if err != nil {
		return err
	}
	if errno == 0 {
		return nil
	}
	return &Error{Op: op, Errno: errno, Message: text}
}
