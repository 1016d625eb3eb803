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

// Capture is what was seen at a device, with the times at which the kernel had it:
// TCP, UDP and ESP over IPv4 and IPv6, also inside Geneve and VXLAN. Its methods may be called from several
// goroutines.
type Capture struct {
	both   bool // directions
	fd     int
	ended  chan struct{}
	closed sync.Once

	mu    sync.Mutex
	last  map[CapturedPorts]Captured
	outer map[tunnelled]Captured
	sum   Captured // also what is not taken apart
	err   error
}

// CapturedPorts are a packet's ports, source first; 0 for ESP.
type CapturedPorts struct{ Src, Dst uint16 }

// Captured is what was seen with certain ports.
type Captured struct {
	Packets, Bytes uint64 // IP packets and their bytes
	Control        uint64 // packets with SYN, FIN or RST, of these
	Last           time.Time
	Payload        uint64 // bytes behind the headers of TCP and UDP
	LastPayload    time.Time
}

// Capture starts to capture what comes in at a device of the machine, until the test
// ends.
func (vm *VM) Capture(t testing.TB, dev string) *Capture {
	t.Helper()
	return vm.capture(t, dev, false)
}

// CapturePort starts to capture what comes in and goes out at a machine's port, on the
// host's side, until the test ends.
func (w *World) CapturePort(vm *VM) *Capture {
	w.T.Helper()
	return w.capture(w.T, vm.Rep, true)
}

func (ns *Namespace) capture(t testing.TB, dev string, both bool) *Capture {
	t.Helper()
	c := &Capture{both: both, ended: make(chan struct{}), last: make(map[CapturedPorts]Captured), outer: make(map[tunnelled]Captured)}
	if err := ns.inside(func() error { return c.open(dev) }); err != nil {
		t.Fatalf("capture on %s of %s: %v", dev, ns.Name, err)
	}
	go func() {
		defer close(c.ended)
		c.read()
	}()
	t.Cleanup(c.Close)
	return c
}

// Close ends the capture before the test does.
func (c *Capture) Close() {
	c.fail(errEnded)
	<-c.ended
	c.closed.Do(func() { _ = unix.Close(c.fd) })
}

var errEnded = errors.New("capture: ended")

// receiveTimeout is how long a read waits before it is looked whether to end.
var receiveTimeout = unix.Timeval{Usec: 200_000}

func (c *Capture) open(dev string) error {
	link, err := net.InterfaceByName(dev)
	if err != nil {
		return err
	}
	protocol := bigEndian(unix.ETH_P_IP)
	if c.both { // what goes out, the kernel shows only to those who want all
		protocol = bigEndian(unix.ETH_P_ALL)
	}
	// packets arrive from Bind on, not from all devices between Socket and Bind
	if c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	return errors.Join(
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &receiveTimeout),
		unix.Bind(c.fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index}),
	)
}

func bigEndian(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

func (c *Capture) read() {
	packet, control := make([]byte, 256), make([]byte, 64)
	for c.failed() == nil {
		n, oobn, _, from, err := unix.Recvmsg(c.fd, packet, control, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			c.fail(fmt.Errorf("capture: %w", err))
			return
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING && !c.both {
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

// count takes the beginning of a packet.
func (c *Capture) count(packet []byte, size uint64, at time.Time) {
	outer, in := tunnelled{}, packet
	if behind, ok := inside(packet); ok {
		outer.from, outer.to = addresses(packet)
		in = behind
	}
	d, known := dissect(in)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum = Captured{Packets: c.sum.Packets + 1, Bytes: c.sum.Bytes + size, Last: at}
	if !known {
		return
	}
	c.last[d.ports] = c.last[d.ports].and(d, size, at)
	if outer.to.IsValid() {
		outer.ports = d.ports
		c.outer[outer] = c.outer[outer].and(d, size, at)
	}
}

// and counts one more packet.
func (seen Captured) and(d dissected, size uint64, at time.Time) Captured {
	seen.Packets, seen.Bytes, seen.Last = seen.Packets+1, seen.Bytes+size, at
	if d.control {
		seen.Control++
	}
	if d.payload > 0 {
		seen.Payload, seen.LastPayload = seen.Payload+uint64(d.payload), at
	}
	return seen
}

// dissected is what the beginning of an IP packet says.
type dissected struct {
	ports   CapturedPorts
	control bool // one of the flags SYN, FIN and RST
	payload int  // bytes behind the headers of TCP and UDP
}

func dissect(packet []byte) (d dissected, known bool) {
	const shortest4, header6 = 20, 40
	if len(packet) < shortest4 {
		return d, false
	}
	var header, length int
	var proto byte
	switch packet[0] >> 4 {
	case 4:
		header, proto, length = int(packet[0]&0xf)*4, packet[9], int(binary.BigEndian.Uint16(packet[2:]))
	case 6:
		header, proto, length = header6, packet[6], header6+int(binary.BigEndian.Uint16(packet[4:]))
	}
	if proto == unix.IPPROTO_ESP {
		return d, true
	}
	const offset, flags, udp = 12, 13, 8 // in TCP's header, and the length of UDP's
	if proto != unix.IPPROTO_TCP && proto != unix.IPPROTO_UDP || len(packet) < header+flags+1 {
		return d, false
	}
	d.ports = CapturedPorts{binary.BigEndian.Uint16(packet[header:]), binary.BigEndian.Uint16(packet[header+2:])}
	if proto == unix.IPPROTO_UDP {
		d.payload = max(0, length-header-udp)
		return d, true
	}
	d.control = packet[header+flags]&7 != 0
	d.payload = max(0, length-header-int(packet[header+offset]>>4)*4)
	return d, true
}

// Sum is what was seen so far, of any kind.
func (c *Capture) Sum() Captured {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum
}

// Of is what was seen so far from one port to another; a capture that has failed
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
