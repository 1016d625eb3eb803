package nlsocket

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listenBuffer is the size in bytes of a Listener's receive buffer: some thousands of
// notifications.
const listenBuffer = 1 << 20

// Listener hears notifications of the kernel's. One goroutine may call Receive; Close
// may be called at any time.
type Listener struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
	buf    []byte
}

// Listen joins multicast groups of a netlink protocol in the network namespace of the
// calling thread.
func Listen(protocol int, groups ...uint32) (*Listener, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := join(fd, groups); err != nil {
		unix.Close(fd)
		return nil, err
	}
	l := &Listener{file: os.NewFile(uintptr(fd), "netlink"), buf: make([]byte, 64<<10)}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, l.file.Close())
	}
	return l, nil
}

func join(fd int, groups []uint32) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, listenBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, listenBuffer)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	for _, g := range groups {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, int(g)); err != nil {
			return os.NewSyscallError("join multicast group", err)
		}
	}
	return nil
}

// Receive waits for one datagram, which is valid until the next call. It fails with the
// error of ctx, os.ErrClosed, or ErrOverrun where messages were lost: then what still
// waited was discarded, so that everything from its return on is heard.
func (l *Listener) Receive(ctx context.Context) ([]byte, error) {
	_ = l.file.SetReadDeadline(time.Time{}) // fails when closed, as the read will
	stop := context.AfterFunc(ctx, func() { _ = l.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n, own, err := l.read()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded): // of an earlier ctx
			_ = l.file.SetReadDeadline(time.Time{})
		case err != nil:
			return nil, err
		case own:
			return l.buf[:n], nil
		}
	}
}

// read reads one datagram and reports whether the kernel sent it.
func (l *Listener) read() (n int, kernel bool, err error) {
	var from unix.Sockaddr
	errRead := l.raw.Read(func(fd uintptr) bool {
		for err = unix.EINTR; err == unix.EINTR; {
			n, from, err = unix.Recvfrom(int(fd), l.buf, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		}
		if err == unix.ENOBUFS || err == nil && n > len(l.buf) {
			err = ErrOverrun
			drain(int(fd), l.buf)
		}
		return err != unix.EAGAIN
	})
	switch {
	case l.closed.Load():
		return 0, false, os.ErrClosed // the poller has an error of its own for it
	case errRead != nil:
		return 0, false, errRead
	case err == ErrOverrun:
		return 0, false, err
	case err != nil:
		return 0, false, os.NewSyscallError("recvmsg", err)
	}
	sender, ok := from.(*unix.SockaddrNetlink)
	return n, ok && sender.Pid == 0, nil
}

// drain discards what waits after an overrun: until its queue was empty once the
// kernel delivers nothing more to a socket, and does not say so again.
func drain(fd int, buf []byte) {
	for range listenBuffer { // more messages than can wait
		_, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		if err != nil && err != unix.EINTR && err != unix.ENOBUFS {
			return
		}
	}
}

// Close releases the socket and ends a Receive in progress.
func (l *Listener) Close() error {
	l.closed.Store(true)
	return l.file.Close()
}
