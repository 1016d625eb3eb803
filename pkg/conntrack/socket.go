package conntrack

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wire carries whole datagrams to and from the kernel; a fake of it stands in
// for the kernel in tests. Only close may be called concurrently with another
// method, and setDeadline with receive.
type wire interface {
	send(b []byte) error
	// receive reads one datagram into b. It returns ErrOverrun where the
	// kernel dropped messages, os.ErrDeadlineExceeded and os.ErrClosed.
	receive(b []byte) (int, error)
	setDeadline(t time.Time) error
	close() error
}

// socket is a NETLINK_NETFILTER socket in Go's poller. It is connected to the
// kernel: no other process can send to it.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	port uint32
	size int // bytes of receive buffer as the kernel accounts them

	closed atomic.Bool

	// The arguments of the read in progress. They are fields because a
	// closure that captured locals would be allocated for each datagram.
	readFn func(fd uintptr) bool
	into   []byte
	n      int
	errno  syscall.Errno
}

// openSocket opens a socket in the current network namespace. Port 0 lets the
// kernel choose a port id.
func openSocket(port uint32, receiveBuffer int) (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open netfilter netlink socket: %w", err)
	}
	s := &socket{}
	if err := s.setUp(fd, port, receiveBuffer); err != nil {
		unix.Close(fd)
		return nil, err
	}
	s.file = os.NewFile(uintptr(fd), "ctnetlink")
	if s.raw, err = s.file.SyscallConn(); err != nil {
		s.file.Close()
		return nil, err
	}
	s.readFn = s.read
	return s, nil
}

func (s *socket) setUp(fd int, port uint32, receiveBuffer int) error {
	// Both make refusals readable: the kernel's own words, without an echo of
	// the request in between. Kernels before 4.12 lack them; so be it.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)

	// FORCE goes past net.core.rmem_max and needs CAP_NET_ADMIN.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
			return fmt.Errorf("set receive buffer: %w", err)
		}
	}
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return fmt.Errorf("get receive buffer: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port}); err != nil {
		return fmt.Errorf("bind netlink socket to port id %d: %w", port, err)
	}
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("connect netlink socket: %w", err)
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("get netlink port id: %w", err)
	}
	nl, ok := own.(*unix.SockaddrNetlink)
	if !ok {
		return fmt.Errorf("netlink socket has an address of type %T", own)
	}
	s.port, s.size = nl.Pid, size
	return nil
}

// join adds the socket to a multicast group.
func (s *socket) join(group int) error {
	return s.control(func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
	})
}

func (s *socket) control(f func(fd int) error) error {
	var err error
	if cerr := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// send hands b to the kernel, which works off all of its messages before the
// call returns.
func (s *socket) send(b []byte) error {
	err := s.control(func(fd int) error { return unix.Send(fd, b, 0) })
	if err != nil {
		return fmt.Errorf("send to ctnetlink: %w", err)
	}
	return nil
}

func (s *socket) receive(b []byte) (int, error) {
	s.into = b
	err := s.raw.Read(s.readFn)
	s.into = nil
	switch {
	case s.closed.Load():
		return 0, os.ErrClosed // the poller has an error of its own for it
	case err != nil:
		return 0, err
	case s.errno == unix.ENOBUFS:
		return 0, errors.Join(ErrOverrun, s.control(s.drain))
	case s.errno != 0:
		return 0, fmt.Errorf("receive from ctnetlink: %w", s.errno)
	case s.n > len(b):
		return 0, fmt.Errorf("receive from ctnetlink: datagram of %d bytes does not fit into %d: %w", s.n, len(b), ErrOverrun)
	}
	return s.n, nil
}

// read is one attempt; false lets the poller wait. MSG_TRUNC makes the kernel
// return the true length of a datagram that is too long.
func (s *socket) read(fd uintptr) bool {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(s.into))),
			uintptr(len(s.into)), unix.MSG_TRUNC, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		s.n, s.errno = int(n), errno
		return errno != unix.EAGAIN
	}
}

// drain discards what waits after an overrun. Until its queue was empty once the
// kernel delivers nothing more and does not report that again: messages between
// the report and the caller's re-reading would be lost in silence.
func (s *socket) drain(fd int) error {
	var scrap [1]byte // the rest of a datagram is cut off
	for left := s.size; left > 0; {
		n, _, err := unix.Recvfrom(fd, scrap[:], unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		left -= max(n, 1)
		switch {
		case err == unix.EAGAIN:
			return nil
		case err == unix.EINTR || err == unix.ENOBUFS:
			continue
		case err != nil:
			return fmt.Errorf("drain netlink socket: %w", err)
		}
	}
	return nil
}

func (s *socket) setDeadline(t time.Time) error { return s.file.SetReadDeadline(t) }

func (s *socket) close() error {
	s.closed.Store(true)
	return s.file.Close()
}
