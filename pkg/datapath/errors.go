package datapath

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// What callers tell apart with errors.Is.
var (
	// ErrNoDatapath: the kernel has no openvswitch module, or the network namespace
	// no datapath of the name.
	ErrNoDatapath = errors.New("no Open vSwitch datapath in the kernel")

	// ErrInterrupted: what a dump reads was changed meanwhile in a way that makes it
	// inconsistent (NLM_F_DUMP_INTR), twice in a row.
	ErrInterrupted = errors.New("datapath: dump interrupted by a change")

	// ErrTooMany: the datapath has more flows or ports than OVS makes.
	ErrTooMany = errors.New("datapath: too many answers")

	// ErrOverrun: the kernel had to drop answers (ENOBUFS).
	ErrOverrun = errors.New("datapath: answers were lost, the socket's receive buffer is too small")

	// ErrNoAnswer: the kernel did not answer in time.
	ErrNoAnswer = errors.New("datapath: no answer from the kernel")
)

// An Error is the kernel's refusal of a request.
type Error struct {
	Op      string // "list flows"
	Errno   unix.Errno
	Message string // the kernel's own words (extack), often empty
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("datapath: %s: %s", e.Op, e.Errno.Error())
	}
	return fmt.Sprintf("datapath: %s: %s: %s", e.Op, e.Errno.Error(), e.Message)
}

// Unwrap makes errors.Is(err, unix.EPERM) work.
func (e *Error) Unwrap() error { return e.Errno }

// A DecodeError says what could not be understood of a message.
type DecodeError struct{ What string }

func (e *DecodeError) Error() string { return "datapath: malformed message: " + e.What }
