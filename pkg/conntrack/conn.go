package conntrack

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Config says where and how to open sockets. The zero value is good.
type Config struct {
	// NetNS is a file descriptor of the network namespace to work in, 0 being
	// the calling thread's own. It must stay open as long as the Conn.
	NetNS int

	// ReadBuffer is the size of the kernel's receive buffer in bytes, 0 being
	// 4 MiB for a Conn and 32 MiB for a Listener. It may exceed
	// net.core.rmem_max, given CAP_NET_ADMIN. The memory is used only while
	// messages wait.
	ReadBuffer int
}

const (
	connBuffer = 4 << 20

	// datagram is the size of the receive loop's own buffer. The kernel never
	// fills more than 32 KiB into one datagram of a dump.
	datagram = 64 << 10

	// maxBatch is how many entries one sendmsg deals with. Measured: the rate
	// is flat from 100 on.
	maxBatch = 200

	// answerSize bounds what one answer takes of the receive buffer: a page
	// and its bookkeeping.
	answerSize = 8 << 10
)

// Conn reads and changes the conntrack table of one network namespace. It is
// safe for concurrent use, but carries out one operation at a time: give a
// caller that must not wait for a dump a Conn of its own. Functions handed to
// an operation must not use the Conn.
type Conn struct {
	open    func(port uint32) (wire, error)
	port    uint32
	closing closingTimeouts

	mu     sync.Mutex
	wire   wire // nil after a failure that may leave answers behind
	seq    uint32
	closed bool
	buf    []byte
	msg    message // the one being handled; a local would be allocated
	req    request
	slots  []slot
	todo   []*slot // of the batch in progress
	entry  flows.Entry

	beforeWrite func() // for tests: runs between reading and writing
}

// Dial opens a Conn. It needs CAP_NET_ADMIN in the user namespace that owns the
// network namespace: without it Dial succeeds and operations fail with EPERM;
// Preflight tells beforehand.
func Dial(cfg Config) (*Conn, error) {
	size := cfg.ReadBuffer
	if size == 0 {
		size = connBuffer
	}
	open := func(port uint32) (s *socket, err error) {
		err = inNetNS(cfg.NetNS, func() error {
			s, err = openSocket(port, size)
			return err
		})
		return s, err
	}
	s, err := open(0)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		open:  func(port uint32) (wire, error) { return open(port) },
		port:  s.port,
		wire:  s,
		seq:   uint32(time.Now().UnixNano()),
		buf:   make([]byte, datagram),
		slots: make([]slot, max(1, min(maxBatch, s.size/answerSize))),
	}
	if err := inNetNS(cfg.NetNS, c.closing.read); err != nil {
		_ = s.close()
		return nil, err
	}
	return c, nil
}

// PortID returns the netlink port id, which events carry that this Conn caused.
// It stays the same for the life of the Conn.
func (c *Conn) PortID() uint32 { return c.port }

// Close releases the socket. It waits for the operation in progress; end its
// context to hasten it. Operations after Close fail with os.ErrClosed.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.drop()
}

// begin locks the Conn for one operation, with a socket on which no old answer
// is left.
func (c *Conn) begin(ctx context.Context) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	c.mu.Lock()
	if err := c.reopen(); err != nil {
		c.mu.Unlock()
		return nil, err
	}
	release := interruptible(ctx, c.wire)
	return func() {
		release()
		c.mu.Unlock()
	}, nil
}

// reopen replaces a socket that was dropped, under the same port id: owners of
// a Listener know it.
func (c *Conn) reopen() error {
	if c.closed {
		return os.ErrClosed
	}
	if c.wire != nil {
		return nil
	}
	s, err := c.open(c.port)
	if err != nil {
		return fmt.Errorf("reopen conntrack socket: %w", err)
	}
	c.wire = s
	return nil
}

// drop closes the socket. The next operation opens a new one: that ends a dump
// in the kernel at once and leaves no answer behind to be taken for another.
func (c *Conn) drop() error {
	if c.wire == nil {
		return nil
	}
	err := c.wire.close()
	c.wire = nil
	return err
}

// receive hands every message of one datagram to f until that says stop.
func (c *Conn) receive(f func(m *message) (stop bool, err error)) (stop bool, err error) {
	n, err := c.wire.receive(c.buf)
	if err != nil {
		return false, err
	}
	for rest := c.buf[:n]; len(rest) > 0; {
		if c.msg, rest, err = cut(rest); err != nil {
			return false, err
		}
		if stop, err := f(&c.msg); stop || err != nil {
			return stop, err
		}
	}
	return false, nil
}

// exchange sends the messages in c.req, whose sequence numbers end at last and
// of which the last asks for an acknowledgement, and hands out the answers
// until the acknowledgement. Messages are worked off in order, so all answers
// are in by then. An answer of an earlier exchange is passed over.
func (c *Conn) exchange(ctx context.Context, first, last uint32, answer func(i int, m *message)) error {
	err := c.wire.send(c.req.b)
	for done := false; err == nil && !done; {
		done, err = c.receive(func(m *message) (bool, error) {
			i := m.seq - first
			if i > last-first || m.port != c.port {
				return false, nil
			}
			if m.seq == last && isAck(m) {
				return true, nil
			}
			answer(int(i), m)
			return m.seq == last && !m.isEntry(), nil
		})
	}
	if err != nil {
		_ = c.drop()
		return cause(ctx, err)
	}
	return nil
}
