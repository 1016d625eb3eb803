package openflow

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// Transaction ids of our requests. Probes come after them.
const (
	xidHello = 1 + iota
	xidAsync
	xidMonitor
	xidBarrier
	xidProbe
)

// conn is one connection. All but the queue belongs to the goroutine of run.
type conn struct {
	sock    net.Conn
	config  Config
	queue   *queue
	reader  *bufio.Reader
	version Version // 0 before one is agreed on; not changed after watch
	monitor monitor

	monitored bool // the bridge confirmed the monitor
	ready     bool // and the barrier after it
	paused    bool // it leaves out changes
	probing   bool // a probe is unanswered
}

func newConn(sock net.Conn, config Config, q *queue) *conn {
	return &conn{sock: sock, config: config, queue: q, reader: bufio.NewReaderSize(sock, maxMessage+1)}
}

// run hands each message to take until the connection ends, and returns why.
func (c *conn) run(take func(message) error) error {
	if err := c.send(appendHello(nil, xidHello, c.config.offer)); err != nil {
		return err
	}
	if err := c.wait(c.config.Timeout); err != nil {
		return err
	}
	for {
		m, size, err := c.next()
		if err != nil {
			return err
		}
		if err := take(m); err != nil {
			return err
		}
		if _, err := c.reader.Discard(size); err != nil {
			return endError(err)
		}
	}
}

// next returns the next message; while there is none it probes the bridge.
func (c *conn) next() (message, int, error) {
	for {
		m, size, err := peekMessage(c.reader)
		switch {
		case err == nil:
			return m, size, c.alive()
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return m, 0, endError(err)
		case !c.ready || c.probing:
			return m, 0, fmt.Errorf("%w for %v", ErrSilent, c.config.Timeout)
		}
		if err := c.probe(); err != nil {
			return m, 0, err
		}
	}
}

// alive notes that the bridge is: any message shows it. The handshake has one
// deadline for all of it.
func (c *conn) alive() error {
	if !c.ready {
		return nil
	}
	c.probing = false
	return c.wait(c.config.Idle)
}

func (c *conn) probe() error {
	c.probing = true
	if err := c.send(appendMessage(nil, c.version, typeEchoRequest, xidProbe, nil)); err != nil {
		return err
	}
	return c.wait(c.config.Timeout)
}

// wait sets how long the next message may take.
func (c *conn) wait(d time.Duration) error {
	return endError(c.sock.SetReadDeadline(time.Now().Add(d)))
}

func (c *conn) send(b []byte) error {
	if err := c.sock.SetWriteDeadline(time.Now().Add(c.config.Timeout)); err != nil {
		return endError(err)
	}
	_, err := c.sock.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w for %v", ErrSilent, c.config.Timeout)
	}
	return endError(err)
}

// endError says of what kind the end of a connection is.
func endError(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrProtocol):
		return err
	case errors.Is(err, io.EOF):
		return ErrClosed
	default:
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
}
