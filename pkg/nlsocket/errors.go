package nlsocket

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// What callers tell apart with errors.Is.
var (
	ErrOverrun     = errors.New("netlink: messages were lost, the receive buffer was full")
	ErrNoAnswer    = errors.New("netlink: no answer from the kernel")
	ErrInterrupted = errors.New("netlink: a list was changed while it was read")
	ErrMalformed   = errors.New("netlink: malformed message")
)

// An Error is the kernel's refusal of a request.
type Error struct {
	Errno   unix.Errno
	Message string // the kernel's own words (extack), often empty
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Errno.Error()
	}
	return fmt.Sprintf("%s: %s", e.Errno.Error(), e.Message)
}

// Unwrap makes errors.Is(err, unix.EPERM) work.
func (e *Error) Unwrap() error { return e.Errno }

// refusal reads the status of an NLMSG_ERROR or NLMSG_DONE, nil for none.
func refusal(m Message) error {
	if len(m.Payload) < 4 {
		if m.Type == unix.NLMSG_DONE {
			return nil
		}
		return fmt.Errorf("%w: error without a number", ErrMalformed)
	}
	errno := -int32(binary.NativeEndian.Uint32(m.Payload))
	if errno <= 0 {
		return nil
	}
	return &Error{Errno: unix.Errno(errno), Message: words(m)}
}

// words returns the kernel's own words about an error (NLMSGERR_ATTR_MSG). The
// request is not repeated: NETLINK_CAP_ACK is set.
func words(m Message) string {
	at := 4
	if m.Type == unix.NLMSG_ERROR {
		at += unix.NLMSG_HDRLEN
	}
	if m.Flags&unix.NLM_F_ACK_TLVS == 0 || len(m.Payload) < at {
		return ""
	}
	a, err := netlink.NewAttributeDecoder(m.Payload[at:])
	if err != nil {
		return ""
	}
	for a.Next() {
		if a.Type() == unix.NLMSGERR_ATTR_MSG {
			return a.String()
		}
	}
	return ""
}
