package tc

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

var (
	// ErrOverrun says that the kernel had to drop answers (ENOBUFS): the outcome of
	// the request is unknown and must be read back.
	ErrOverrun = errors.New("tc: answers were lost, the socket's receive buffer is too small")

	// ErrNoAnswer says that the kernel did not answer in time; the outcome is unknown.
	ErrNoAnswer = errors.New("tc: no answer from the kernel")

	// ErrInterrupted says that what a dump reads was changed meanwhile in a way that
	// makes it inconsistent (NLM_F_DUMP_INTR): repeat it.
	ErrInterrupted = errors.New("tc: dump interrupted by a change")

	// ErrInvalid says that a value cannot be put into a message.
	ErrInvalid = errors.New("tc: invalid request")
)

// An Error is the kernel's refusal of one request.
type Error struct {
	Op      string     // what was asked for, like "add filter"
	Errno   unix.Errno // why not
	Message string     // the kernel's or the driver's own words (extack), often empty
	Offset  int        // of the attribute in the request that the kernel objects to, 0 if it does not say
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s", e.Op, e.Errno.Error())
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Offset > 0 {
		s += fmt.Sprintf(" (attribute at byte %d)", e.Offset)
	}
	return s
}

// Unwrap makes errors.Is(err, unix.ENOENT) work.
func (e *Error) Unwrap() error { return e.Errno }
