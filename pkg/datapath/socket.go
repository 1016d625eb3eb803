package datapath

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// wire carries whole datagrams to and from the kernel; a fake of it stands in for
// the kernel in tests.
type wire interface {
	send(b []byte) error
	// receive reads one datagram into b. It fails with ErrOverrun and ErrNoAnswer.
	receive(b []byte) (int, error)
	close() error
}

// socket is a NETLINK_GENERIC socket. The kernel works on a request while sendmsg
// runs, so a blocking socket loses nothing against a polled one.
type socket int

func openSocket(cfg Config) (socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := setUp(fd, cfg); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return socket(fd), nil
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

func (s socket) send(b []byte) error {
	for {
		err := unix.Sendto(int(s), b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err != unix.EINTR {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

func (s socket) receive(b []byte) (int, error) {
	for {
		n, from, err := unix.Recvfrom(int(s), b, unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ENOBUFS:
			return 0, ErrOverrun
		case err == unix.EAGAIN:
			return 0, ErrNoAnswer
		case err != nil:
			return 0, os.NewSyscallError("recvmsg", err)
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue // not from the kernel
		}
		if n > len(b) {
			return 0, &DecodeError{fmt.Sprintf("datagram of %d bytes", n)}
		}
		return n, nil
	}
}

func (s socket) close() error { return unix.Close(int(s)) }
