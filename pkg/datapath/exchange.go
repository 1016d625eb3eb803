package datapath

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ask sends a request that has one answer. The caller has c.mu, or c to itself.
func (c *Conn) ask(ctx context.Context, op string, req func(seq uint32) []byte, take func(*message) error) error {
	if err := c.start(ctx, req); err != nil {
		return err
	}
	return c.read(ctx, func(m *message) (done bool, err error) {
		if m.typ == unix.NLMSG_ERROR {
			return true, m.refusal(op)
		}
		return true, take(m)
	})
}

// dump sends a request for a list and hands out the answers. It repeats one that
// was interrupted by a change once; begin is called before each.
func (c *Conn) dump(ctx context.Context, op string, req func(seq uint32) []byte, begin func(), take func(*message) error) error {
	for range 2 {
		begin()
		interrupted := false
		err := c.start(ctx, req)
		if err == nil {
			err = c.read(ctx, func(m *message) (done bool, err error) {
				interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
				if m.typ == unix.NLMSG_DONE || m.typ == unix.NLMSG_ERROR {
					return true, m.refusal(op)
				}
				return false, take(m)
			})
		}
		if err != nil || !interrupted {
			return err
		}
	}
	return ErrInterrupted
}

// start sends a request, after answers to an abandoned one were read away: the
// kernel refuses a second dump while one runs.
func (c *Conn) start(ctx context.Context, req func(seq uint32) []byte) error {
	if c.wire == nil {
		return fmt.Errorf("datapath: %w", os.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if c.unread {
		err := c.read(ctx, func(m *message) (bool, error) {
			return m.typ == unix.NLMSG_DONE || m.flags&unix.NLM_F_MULTI == 0, nil
		})
		if err != nil && !errors.Is(err, ErrNoAnswer) {
			return err
		}
	}
	if c.seq++; c.seq == 0 { // the kernel's own notifications carry it
		c.seq = 1
	}
	return c.wire.send(req(c.seq))
}

// read hands out the answers to the last request until take says that it was the
// last one, or fails: then the rest is read away before the next request.
func (c *Conn) read(ctx context.Context, take func(*message) (done bool, err error)) error {
	c.unread = true
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := c.wire.receive(c.buf)
		if err != nil {
			if errors.Is(err, ErrNoAnswer) {
				c.unread = false // nothing is under way any more
			}
			return err
		}
		done, err := c.takeAll(c.buf[:n], take)
		if done {
			c.unread = false
		}
		if done || err != nil {
			return err
		}
	}
}

// takeAll goes through one datagram, to its end even after an error: the last
// answer may be in it.
func (c *Conn) takeAll(datagram []byte, take func(*message) (bool, error)) (done bool, failed error) {
	for len(datagram) > 0 && !done {
		var m message
		var err error
		if m, datagram, err = cut(datagram); err != nil {
			return false, err
		}
		if m.seq != c.seq {
			continue // an answer to something else
		}
		if failed != nil {
			done = m.typ == unix.NLMSG_DONE || m.typ == unix.NLMSG_ERROR
			continue
		}
		done, failed = take(&m)
	}
	return done, failed
}
