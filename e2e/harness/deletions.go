package harness

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Deletions are the tc filters that were deleted in the node, with the times at which
// the kernel's message of it was read. Its methods may be called from several
// goroutines.
type Deletions struct {
	fd    int
	ended chan struct{}

	mu   sync.Mutex
	list []Deleted
	err  error
	stop bool
}

// Deleted is the end of a filter.
type Deleted struct {
	At      time.Time
	Ifindex int
	Handle  uint32
	Pref    uint16
}

// Deletions starts to listen until the test ends.
func (w *World) Deletions() *Deletions {
	t := w.T
	t.Helper()
	d := &Deletions{ended: make(chan struct{})}
	if err := w.inside(d.open); err != nil {
		t.Fatalf("listen to tc: %v", err)
	}
	go func() {
		defer close(d.ended)
		punctual()
		d.read()
	}()
	t.Cleanup(func() {
		d.mu.Lock()
		d.stop = true
		d.mu.Unlock()
		<-d.ended
		_ = unix.Close(d.fd)
		if d.err != nil {
			t.Errorf("listen to tc: %v", d.err)
		}
	})
	return d
}

func (d *Deletions) open() (err error) {
	if d.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE); err != nil {
		return err
	}
	return errors.Join(
		unix.SetsockoptInt(d.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
		unix.SetsockoptTimeval(d.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &receiveTimeout),
		unix.Bind(d.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptInt(d.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, unix.RTNLGRP_TC),
	)
}

func (d *Deletions) read() {
	buf := make([]byte, 64<<10)
	for {
		d.mu.Lock()
		stop := d.stop
		d.mu.Unlock()
		if stop {
			return
		}
		n, _, err := unix.Recvfrom(d.fd, buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			d.mu.Lock()
			d.err = err
			d.mu.Unlock()
			return
		}
		d.add(buf[:n], time.Now())
	}
}

// add takes a datagram of messages apart: struct nlmsghdr, struct tcmsg, attributes.
func (d *Deletions) add(b []byte, at time.Time) {
	const header, family = 16, 20
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(b) >= header {
		size := int(binary.NativeEndian.Uint32(b))
		if size < header || size > len(b) {
			return
		}
		if binary.NativeEndian.Uint16(b[4:]) == unix.RTM_DELTFILTER && size >= header+family {
			m := b[header:]
			d.list = append(d.list, Deleted{at, int(binary.NativeEndian.Uint32(m[4:])), binary.NativeEndian.Uint32(m[8:]), uint16(binary.NativeEndian.Uint32(m[16:]) >> 16)})
		}
		b = b[min(len(b), (size+3)&^3):]
	}
}

// Since are the filters deleted after a moment.
func (d *Deletions) Since(moment time.Time) (later []Deleted) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.list {
		if x.At.After(moment) {
			later = append(later, x)
		}
	}
	return later
}
