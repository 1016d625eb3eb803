// Package nlsocket is netlink as those need it that know what to say: a blocking Socket
// to the kernel, a Conn on one that asks a question and reads the answer, and a
// Listener. The kernel works on a request while sendmsg runs, so a blocking socket loses
// nothing against a polled one.
package nlsocket

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Config says how a socket waits. Both are required.
type Config struct {
	ReceiveBuffer int           // bytes that the kernel keeps for answers
	Timeout       time.Duration // how long to wait for an answer that should be there already
}

// Socket is the descriptor of an open socket. One goroutine uses it at a time.
type Socket int

// Closed is no socket.
const Closed Socket = -1

// Open opens a socket of a netlink protocol (unix.NETLINK_ROUTE, ...) in the network
// namespace of the calling thread.
func Open(protocol int, cfg Config) (Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return Closed, os.NewSyscallError("socket", err)
	}
	if err := setUp(fd, cfg); err != nil {
		unix.Close(fd)
		return Closed, err
	}
	return Socket(fd), nil
}

func setUp(fd int, cfg Config) error {
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	// Both since Linux 4.12 and 4.3. Without them there are fewer words in errors.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, cfg.ReceiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, cfg.ReceiveBuffer)
	}
	wait := unix.NsecToTimeval(cfg.Timeout.Nanoseconds())
	return os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait))
}

// Send sends one datagram.
func (s Socket) Send(b []byte) error {
	for {
		err := unix.Sendto(int(s), b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err != unix.EINTR {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// Receive reads one datagram of the kernel's into b and returns its length, which is
// larger than b where it was cut off. It fails with plain unix.ENOBUFS where the kernel
// had to drop answers, and plain unix.EAGAIN where none came in time.
func (s Socket) Receive(b []byte) (int, error) {
	for {
		n, from, err := unix.Recvfrom(int(s), b, unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ENOBUFS || err == unix.EAGAIN:
			return 0, err
		case err != nil:
			return 0, os.NewSyscallError("recvmsg", err)
		}
		if sender, ok := from.(*unix.SockaddrNetlink); ok && sender.Pid == 0 {
			return n, nil
		} // else it is not from the kernel
	}
}

// PortID returns the netlink port id of the socket, 0 if it has none.
func (s Socket) PortID() uint32 {
	addr, err := unix.Getsockname(int(s))
	own, ok := addr.(*unix.SockaddrNetlink)
	if err != nil || !ok {
		return 0
	}
	return own.Pid
}

// Close closes the socket.
func (s Socket) Close() error { return unix.Close(int(s)) }
