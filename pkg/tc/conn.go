package tc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

// Config changes how a Conn works. The zero value is fine.
type Config struct {
	// ReceiveBuffer is the size in bytes of the kernel's buffer for answers; 0 means
	// 4 MiB. It must hold the answers to one sendmsg.
	ReceiveBuffer int
	// PerSend is how many requests go into one sendmsg; 0 means 128. The kernel
	// works them off one by one before sendmsg returns.
	PerSend int
	// Timeout is how long to wait for an answer that should be there already; 0
	// means 10 seconds.
	Timeout time.Duration
}

// Conn is a rtnetlink socket in one network namespace. It is safe for concurrent
// use: a request has the socket for itself until all its answers are read.
//
// The kernel works on requests while sendmsg runs, so a blocking socket loses
// nothing against a polled one and costs no wake-ups.
type Conn struct {
	perSend int

	mu     sync.Mutex      // guards what follows
	socket nlsocket.Socket // nlsocket.Closed after Close
	seq    uint32          // of the last request
	unread uint32          // sequence of a dump that was not read to its end, or 0
	buf    []byte          // one datagram
	dump   Filter          // decoded into, for each filter of a dump
}

// Dial opens a socket in the network namespace of the calling thread.
func Dial(cfg Config) (*Conn, error) {
	if cfg.ReceiveBuffer == 0 {
		cfg.ReceiveBuffer = 4 << 20
	}
	if cfg.PerSend == 0 {
		cfg.PerSend = 128
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	socket, err := nlsocket.Open(unix.NETLINK_ROUTE, nlsocket.Config{ReceiveBuffer: cfg.ReceiveBuffer, Timeout: cfg.Timeout})
	if err != nil {
		return nil, err
	}
	// 64 KiB: the kernel fills up to 32 KiB per datagram of a dump.
	return &Conn{socket: socket, perSend: cfg.PerSend, buf: make([]byte, 64<<10)}, nil
}

// PortID returns the netlink port id of the socket, by which a Watcher can tell its
// requests from those of others; 0 after Close.
func (c *Conn) PortID() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.socket.PortID()
}

// Close closes the socket. Requests that are running finish first.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket == nlsocket.Closed {
		return nil
	}
	err := c.socket.Close()
	c.socket = nlsocket.Closed
	return err
}

// ready prepares for a new request: answers to an abandoned dump are read away,
// because the kernel refuses a second dump while one runs.
func (c *Conn) ready(ctx context.Context) error {
	if c.socket == nlsocket.Closed {
		return fmt.Errorf("tc: %w", os.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.unread == 0 {
		return nil
	}
	err := c.readDump(ctx, c.unread, func(message) error { return nil })
	if c.unread != 0 {
		return err
	}
	return nil // what the old dump ended with is nobody's business any more
}

// nextSeq reserves n sequence numbers and returns the first. Zero is skipped: the
// kernel's own notifications carry it.
func (c *Conn) nextSeq(n int) uint32 {
	first := c.seq + 1
	if first == 0 || first+uint32(n) < first {
		first = 1
	}
	c.seq = first + uint32(n) - 1
	return first
}

// receive reads one datagram of the kernel's. What it returns is valid until the
// next call.
func (c *Conn) receive() ([]byte, error) {
	n, err := c.socket.Receive(c.buf)
	switch {
	case err == unix.ENOBUFS:
		return nil, ErrOverrun
	case err == unix.EAGAIN:
		return nil, ErrNoAnswer
	case err != nil:
		return nil, err
	case n > len(c.buf):
		return nil, fmt.Errorf("tc: datagram of %d bytes", n)
	}
	return c.buf[:n], nil
}

var errShort = errors.New("tc: datagram ends within a message")

// message is one netlink message.
type message struct {
	typ, flags uint16
	seq, port  uint32
	payload    []byte
}

// cutMessage takes the first message off b.
func cutMessage(b []byte) (m message, rest []byte, err error) {
	if len(b) < nlmsgHeaderLen {
		return m, nil, errShort
	}
	n := native.Uint32(b)
	if n < nlmsgHeaderLen || uint64(n) > uint64(len(b)) {
		return m, nil, errShort
	}
	m = message{
		typ:     native.Uint16(b[4:]),
		flags:   native.Uint16(b[6:]),
		seq:     native.Uint32(b[8:]),
		port:    native.Uint32(b[12:]),
		payload: b[nlmsgHeaderLen:n],
	}
	return m, b[min(align4(int(n)), len(b)):], nil
}
