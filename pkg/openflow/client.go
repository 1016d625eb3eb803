package openflow

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// writing is the version in which flows are read and written: the first with
// bundles, and one that OVS allows unless Bridge.protocols says otherwise.
const writing = OpenFlow14

// Client reads and changes the flows of one bridge. Calls may be concurrent; they
// are carried out one after the other. After an error that is no *RequestError the
// connection is of no use any more.
type Client struct {
	mu      sync.Mutex
	sock    net.Conn
	reader  *bufio.Reader
	timeout time.Duration
	xid     uint32 // of the last request
	buf     []byte
}

// Dial connects to the management socket of a bridge (see SocketPath). The timeout
// bounds each call whose context has no earlier deadline; 0 means 5 s. A bridge that
// does not allow OpenFlow 1.4 is ErrVersion.
func Dial(ctx context.Context, socket string, timeout time.Duration) (*Client, error) {
	var dialer net.Dialer
	sock, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, reachError(err)
	}
	c := &Client{sock: sock, reader: bufio.NewReaderSize(sock, maxMessage+1), timeout: cmp.Or(timeout, defaultTimeout)}
	if err := c.greet(ctx); err != nil {
		sock.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.sock.Close() }

func (c *Client) greet(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exchange(ctx, appendHello(nil, xidHello, 1<<writing), func(m message) (bool, error) {
		switch {
		case m.kind == typeError:
			return true, parseError(0, m.body)
		case m.kind != typeHello:
			return true, malformed("no hello")
		}
		_, err := negotiate(m, 1<<writing)
		return true, err
	})
}

// exchange writes requests and reads until read is done, or fails. c.mu is held.
func (c *Client) exchange(ctx context.Context, requests []byte, read func(message) (done bool, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	deadline := time.Now().Add(c.timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.sock.SetDeadline(deadline); err != nil {
		return endError(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.sock.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.sock.Write(requests); err != nil {
		return c.ended(ctx, err)
	}
	for {
		m, size, err := peekMessage(c.reader)
		if err != nil {
			return c.ended(ctx, err)
		}
		done, err := c.take(m, read)
		if err != nil {
			return err
		}
		if _, err := c.reader.Discard(size); err != nil {
			return c.ended(ctx, err)
		}
		if done {
			return nil
		}
	}
}

// take passes a message on, unless it has nothing to do with a request.
func (c *Client) take(m message, read func(message) (bool, error)) (bool, error) {
	switch m.kind {
	case typeEchoRequest:
		_, err := c.sock.Write(appendMessage(nil, writing, typeEchoReply, m.xid, m.body))
		return false, endError(err)
	case typePortStatus, typeRequestForward:
		return false, nil
	}
	return read(m)
}

// ended says why an exchange broke off.
func (c *Client) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if isTimeout(err) {
		return fmt.Errorf("%w for %v", ErrSilent, c.timeout)
	}
	return endError(err)
}

// next returns n transaction ids, the first of them. c.mu is held.
func (c *Client) next(n int) (first uint32) {
	if c.xid > 1<<31 {
		c.xid = 0
	}
	first = c.xid + 1 + xidProbe
	c.xid += uint32(n)
	return first
}
