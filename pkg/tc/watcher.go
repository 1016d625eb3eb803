package tc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watchBuffer is the size in bytes of a Watcher's receive buffer: some thousands of
// deletions.
const watchBuffer = 1 << 20

// Watcher hears of deletions by others. It is a hint, not a journal: some deletions
// have no message (the rules below a qdisc, everything of a device that goes), and an
// overrun loses some. Read what is there for the truth. One goroutine may call
// Receive; Close may be called at any time.
type Watcher struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
	buf    []byte
	rest   []byte // messages behind the one at which f returned an error
	filter Filter
	event  Deletion
}

// Watch listens in the network namespace of the calling thread. Deletions that were
// asked for through a socket with one of the port ids in own, which Conn.PortID
// tells, are passed over already by the kernel.
func Watch(own ...uint32) (*Watcher, error) {
	own = slices.DeleteFunc(slices.Clone(own), func(port uint32) bool { return port == 0 }) // of the kernel
	if len(own) > maxOwn {
		return nil, fmt.Errorf("%w: %d sockets to pass over, at most %d are possible", ErrInvalid, len(own), maxOwn)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := setupWatch(fd, own); err != nil {
		unix.Close(fd)
		return nil, err
	}
	w := &Watcher{file: os.NewFile(uintptr(fd), "rtnetlink"), buf: make([]byte, 64<<10)}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	return w, nil
}

// setupWatch joins last, so that no message gets in before the filter.
func setupWatch(fd int, own []uint32) error {
	filter, err := deletionsOnly(own)
	if err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: (*unix.SockFilter)(unsafe.Pointer(unsafe.SliceData(filter)))}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return os.NewSyscallError("attach socket filter", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, watchBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, watchBuffer)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	return os.NewSyscallError("join RTNLGRP_TC", unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, unix.RTNLGRP_TC))
}

// Receive hands deletions to f until ctx ends, f returns an error, the Watcher is
// closed (os.ErrClosed) or messages were lost (ErrOverrun). After all but
// os.ErrClosed the Watcher goes on where it stopped when Receive is called again.
// After ErrOverrun anything may be gone; what still waited was discarded, so that
// every deletion from the return of Receive on is heard. The argument of f is
// overwritten by the next one.
func (w *Watcher) Receive(ctx context.Context, f func(*Deletion) error) error {
	_ = w.file.SetReadDeadline(time.Time{}) // fails when closed, as the read will
	stop := context.AfterFunc(ctx, func() { _ = w.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		for len(w.rest) > 0 {
			if err := w.next(f); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := w.receive()
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// next takes one message off w.rest. A malformed one takes its datagram along.
func (w *Watcher) next(f func(*Deletion) error) error {
	m, rest, err := cutMessage(w.rest)
	w.rest = rest
	if err != nil || objectOf(m.typ) == 0 {
		return err
	}
	if err := w.event.decode(m, &w.filter); err != nil {
		return err
	}
	return f(&w.event)
}

// receive waits for a datagram of the kernel's.
func (w *Watcher) receive() error {
	var n int
	var from unix.Sockaddr
	var err error
	errRead := w.raw.Read(func(fd uintptr) bool {
		for err = unix.EINTR; err == unix.EINTR; {
			n, from, err = unix.Recvfrom(int(fd), w.buf, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		}
		if err == unix.ENOBUFS {
			drain(int(fd), w.buf)
		}
		return err != unix.EAGAIN
	})
	sender, ok := from.(*unix.SockaddrNetlink)
	switch {
	case w.closed.Load():
		return os.ErrClosed // the poller has an error of its own for it
	case errRead != nil:
		return errRead
	case err == unix.ENOBUFS || err == nil && n > len(w.buf):
		return ErrOverrun
	case err != nil:
		return os.NewSyscallError("recvmsg", err)
	case ok && sender.Pid == 0:
		w.rest = w.buf[:n]
	}
	return nil
}

// drain discards what waits after an overrun: until its queue was empty once the
// kernel delivers nothing more to a socket, and does not say so again.
func drain(fd int, buf []byte) {
	for range watchBuffer { // more messages than can wait
		_, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		if err != nil && err != unix.EINTR && err != unix.ENOBUFS {
			return
		}
	}
}

// Close releases the socket and ends a Receive in progress.
func (w *Watcher) Close() error {
	w.closed.Store(true)
	return w.file.Close()
}
