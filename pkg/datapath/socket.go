package datapath

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

// wire carries whole datagrams to and from the kernel; a fake of it stands in for
// the kernel in tests.
type wire interface {
	send(b []byte) error
	// receive reads one datagram into b. It fails with ErrOverrun and ErrNoAnswer.
	receive(b []byte) (int, error)
	close() error
}

// socket is a wire of NETLINK_GENERIC.
type socket struct{ nlsocket.Socket }

func openSocket(cfg Config) (socket, error) {
	s, err := nlsocket.Open(unix.NETLINK_GENERIC, nlsocket.Config{ReceiveBuffer: cfg.ReceiveBuffer, Timeout: cfg.Timeout})
	return socket{s}, err
}

func (s socket) send(b []byte) error { return s.Send(b) }

func (s socket) receive(b []byte) (int, error) {
	n, err := s.Receive(b)
	switch {
	case err == unix.ENOBUFS:
		return 0, ErrOverrun
	case err == unix.EAGAIN:
		return 0, ErrNoAnswer
	case err != nil:
		return 0, err
	case n > len(b):
		return 0, &DecodeError{fmt.Sprintf("datagram of %d bytes", n)}
	}
	return n, nil
}

func (s socket) close() error { return s.Close() }
