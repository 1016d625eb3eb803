package harness

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Capture is what a machine received on one of its devices of TCP or UDP over IPv4,
// with the times at which the kernel got it. Its methods may be called from several
// goroutines.
type Capture struct {
	fd int

	mu   sync.Mutex
	last map[CapturedPorts]Captured
	err  error
}

// CapturedPorts are a packet's ports, source first.
type CapturedPorts struct{ Src, Dst uint16 }

// Captured is what was received with certain ports.
type Captured struct {
	Packets, Bytes uint64 // IP packets and their bytes
	Last           time.Time
}

// Capture starts to capture what comes in at a device of the machine, until the test
// ends.
func (vm *VM) Capture(t testing.TB, dev string) *Capture {
	t.Helper()
	c := &Capture{last: make(map[CapturedPorts]Captured)}
	if err := vm.inside(func() error { return c.open(dev) }); err != nil {
		t.Fatalf("capture on %s of %s: %v", dev, vm.Name, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.read()
	}()
	t.Cleanup(func() {
		c.fail(errEnded)
		<-ended
		_ = unix.Close(c.fd)
	})
	return c
}

var errEnded = errors.New("capture: ended")

// receiveTimeout is how long a read waits before it is looked whether to end.
var receiveTimeout = unix.Timeval{Usec: 200_000}

func (c *Capture) open(dev string) error {
	link, err := net.InterfaceByName(dev)
	if err != nil {
		return err
	}
	// packets arrive from Bind on, not from all devices between Socket and Bind
	if c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	return errors.Join(
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &receiveTimeout),
		unix.Bind(c.fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_IP), Ifindex: link.Index}),
	)
}

func bigEndian(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

func (c *Capture) read() {
	packet, control := make([]byte, 128), make([]byte, 64)
	for c.failed() == nil {
		n, oobn, _, from, err := unix.Recvmsg(c.fd, packet, control, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			c.fail(fmt.Errorf("capture: %w", err))
			return
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		at, err := timestamp(control[:oobn])
		if err != nil {
			c.fail(err)
			return
		}
		c.count(packet[:min(n, len(packet))], uint64(n), at)
	}
}

func timestamp(control []byte) (time.Time, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}, fmt.Errorf("capture: %w", err)
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:]))), nil
		}
	}
	return time.Time{}, errors.New("capture: a packet without a time")
}

// count takes the beginning of an IPv4 packet.
func (c *Capture) count(packet []byte, size uint64, at time.Time) {
	const shortest = 20
	if len(packet) < shortest || packet[0]>>4 != 4 || packet[9] != unix.IPPROTO_TCP && packet[9] != unix.IPPROTO_UDP {
		return
	}
	header := int(packet[0]&0xf) * 4
	if len(packet) < header+4 {
		return
	}
	ports := CapturedPorts{binary.BigEndian.Uint16(packet[header:]), binary.BigEndian.Uint16(packet[header+2:])}
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.last[ports]
	c.last[ports] = Captured{seen.Packets + 1, seen.Bytes + size, at}
}

// Of is what was received so far from one port to another; a capture that has failed
// fails the test.
func (c *Capture) Of(t testing.TB, src, dst uint16) Captured {
	t.Helper()
	if err := c.failed(); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[CapturedPorts{src, dst}]
}

func (c *Capture) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *Capture) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
