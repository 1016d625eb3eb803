package nlsocket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Message is one netlink message without its header. The payload is valid until the
// function that got it returns.
type Message struct {
	Type, Flags uint16
	Payload     []byte
}

// Conn asks questions, one after the other. It is safe for concurrent use.
type Conn struct {
	mu     sync.Mutex // guards what follows
	socket Socket     // Closed after Close
	seq    uint32     // of the last request
	unread bool       // answers to it may be left
	buf    []byte     // one datagram
}

// Dial opens a Conn of a netlink protocol in the network namespace of the calling
// thread.
func Dial(protocol int, cfg Config) (*Conn, error) {
	s, err := Open(protocol, cfg)
	if err != nil {
		return nil, err
	}
	return &Conn{socket: s, buf: make([]byte, 64<<10)}, nil // the kernel fills up to 32 KiB of a dump
}

// Close closes the socket. A request that is under way finishes first.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket == Closed {
		return nil
	}
	err := c.socket.Close()
	c.socket = Closed
	return err
}

// Do sends a request and hands the answers to take, which may be nil. With NLM_F_DUMP
// among the flags of the request the answer is a list. Once take returns an error it
// is not called again. Errors: *Error, ErrOverrun, ErrNoAnswer, ErrInterrupted and what
// take returned.
func (c *Conn) Do(ctx context.Context, req Message, take func(Message) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if c.socket == Closed {
		return os.ErrClosed
	}
	if c.unread { // the kernel refuses a second dump while one runs
		if err := c.read(nil); errors.Is(err, ErrMalformed) {
			return err
		}
	}
	if c.seq++; c.seq == 0 { // the kernel's own notifications carry it
		c.seq = 1
	}
	if req.Flags&unix.NLM_F_DUMP == 0 {
		req.Flags |= unix.NLM_F_ACK
	}
	if err := c.socket.Send(encode(req, c.seq)); err != nil {
		return err
	}
	return c.read(take)
}

func encode(m Message, seq uint32) []byte {
	b := make([]byte, 0, unix.NLMSG_HDRLEN+len(m.Payload))
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.NLMSG_HDRLEN+len(m.Payload)))
	b = binary.NativeEndian.AppendUint16(b, m.Type)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|m.Flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	return append(append(b, 0, 0, 0, 0), m.Payload...)
}

// read reads the answers to the last request to their end, also after an error: the
// first one is returned.
func (c *Conn) read(take func(Message) error) (failed error) {
	c.unread = true
	fail := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	for {
		n, err := c.socket.Receive(c.buf)
		switch {
		case err == unix.EAGAIN:
			c.unread = false // nothing is under way any more
			fail(ErrNoAnswer)
			return failed
		case err == unix.ENOBUFS:
			fail(ErrOverrun)
			continue
		case err != nil:
			fail(err)
			return failed
		case n > len(c.buf):
			fail(fmt.Errorf("%w: datagram of %d bytes", ErrMalformed, n))
			n = len(c.buf)
		}
		done, err := c.takeAll(c.buf[:n], take, failed != nil)
		if err != nil {
			fail(err)
		}
		if done {
			c.unread = false
			return failed
		}
	}
}

// takeAll goes through one datagram, silently after a failure.
func (c *Conn) takeAll(b []byte, take func(Message) error, failed bool) (done bool, first error) {
	for len(b) > 0 {
		m, seq, rest, err := cut(b)
		if err != nil {
			return false, err
		}
		b = rest
		if seq != c.seq {
			continue // an answer to something else
		}
		err = nil
		switch {
		case m.Type == unix.NLMSG_DONE || m.Type == unix.NLMSG_ERROR:
			done, err = true, refusal(m)
		case failed || first != nil || take == nil:
		default:
			err = take(m)
		}
		if err == nil && m.Flags&unix.NLM_F_DUMP_INTR != 0 {
			err = ErrInterrupted
		}
		if first == nil {
			first = err
		}
	}
	return done, first
}

// Cut takes the first message off a datagram.
func Cut(b []byte) (m Message, rest []byte, err error) {
	m, _, rest, err = cut(b)
	return m, rest, err
}

func cut(b []byte) (m Message, seq uint32, rest []byte, err error) {
	if len(b) < unix.NLMSG_HDRLEN {
		return m, 0, nil, fmt.Errorf("%w: datagram ends within a message", ErrMalformed)
	}
	n := binary.NativeEndian.Uint32(b)
	if n < unix.NLMSG_HDRLEN || uint64(n) > uint64(len(b)) {
		return m, 0, nil, fmt.Errorf("%w: message of %d bytes, %d are there", ErrMalformed, n, len(b))
	}
	m = Message{binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:]), b[unix.NLMSG_HDRLEN:n]}
	return m, binary.NativeEndian.Uint32(b[8:]), b[min((int(n)+3)&^3, len(b)):], nil
}
