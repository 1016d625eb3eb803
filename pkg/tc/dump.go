package tc

import (
	"context"

	"golang.org/x/sys/unix"
)

// Scope says what to dump: the filters of one hook of one device and, if not
// zero, only those of one preference.
type Scope struct {
	Link    int32
	Parent  uint32
	Pref    uint16
	OnChain bool   // only those of Chain; else of all chains
	Chain   uint32 // with OnChain
	// Terse asks for identity, flags, cookies and counters only (since Linux 5.8).
	// Few classifiers but flower can do it; one in scope that cannot ends the dump
	// with an *Error (EMSGSIZE).
	Terse bool
}

func (s Scope) request(b *Batch) error {
	b.begin(unix.RTM_GETTFILTER, unix.NLM_F_DUMP)
	b.buf = (&Filter{Link: s.Link, Parent: s.Parent, Pref: s.Pref}).appendTCMsg(b.buf)
	if s.OnChain {
		b.buf = appendU32(b.buf, attrChain, s.Chain)
	}
	if s.Terse {
		b.buf = appendBitfield(b.buf, attrDumpFlags, dumpTerse)
	}
	return b.finish("dump filters")
}

// Filters calls fn for each filter in scope. The filter is valid during the call
// only; an error of fn ends the dump and is returned. fn must not use c.
//
// There is nothing to dump, and no error, where there is no such device or qdisc.
func (c *Conn) Filters(ctx context.Context, s Scope, fn func(*Filter) error) error {
	var b Batch
	if err := s.request(&b); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.startDump(ctx, &b, func(m message) error {
		if m.typ != unix.RTM_NEWTFILTER {
			return nil
		}
		if err := c.dump.decode(m.payload, nlmsgHeaderLen); err != nil {
			return err
		}
		return fn(&c.dump)
	})
}

// Qdiscs calls fn for each qdisc of the namespace.
func (c *Conn) Qdiscs(ctx context.Context, fn func(Qdisc) error) error {
	var b Batch
	b.begin(unix.RTM_GETQDISC, unix.NLM_F_DUMP)
	b.buf = (&Filter{}).appendTCMsg(b.buf)
	if err := b.finish("dump qdiscs"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.startDump(ctx, &b, func(m message) error {
		if m.typ != unix.RTM_NEWQDISC {
			return nil
		}
		var q Qdisc
		if err := q.decode(m.payload, nlmsgHeaderLen); err != nil {
			return err
		}
		return fn(q)
	})
}

// startDump starts the dump that is the only request of b and reads it.
func (c *Conn) startDump(ctx context.Context, b *Batch, fn func(message) error) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	seq := c.nextSeq(1)
	native.PutUint32(b.buf[8:], seq)
	if err := c.socket.Send(b.buf); err != nil {
		return err
	}
	c.unread = seq
	return c.readDump(ctx, seq, fn)
}

// readDump reads the answers to dump seq up to their end. When it returns early
// c.unread tells the next request to read the rest away.
func (c *Conn) readDump(ctx context.Context, seq uint32, fn func(message) error) error {
	d := dumpReader{seq: seq, fn: fn}
	for !d.done && d.stop == nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		datagram, err := c.receive()
		if err == ErrNoAnswer {
			c.unread = 0 // nothing is under way any more
		}
		if err != nil {
			return err
		}
		err = d.read(datagram)
		if d.done {
			c.unread = 0
		}
		if err != nil {
			return err
		}
	}
	return d.stop
}

// dumpReader is how far a dump was read.
type dumpReader struct {
	seq         uint32
	fn          func(message) error
	interrupted bool
	done        bool
	stop        error // why fn is not called any more, or what the dump ended with
}

// read goes through one datagram, to its end even if fn fails: the end of the
// dump may be in it.
func (d *dumpReader) read(datagram []byte) error {
	for len(datagram) > 0 {
		var m message
		var err error
		if m, datagram, err = cutMessage(datagram); err != nil {
			return err
		}
		if m.seq != d.seq {
			continue // an answer to something else
		}
		d.interrupted = d.interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
		switch {
		case m.typ == unix.NLMSG_DONE || m.typ == unix.NLMSG_ERROR:
			d.done = true
			err = d.end(m)
		case d.stop == nil:
			err = d.fn(m)
		}
		if d.stop == nil {
			d.stop = err
		}
	}
	return nil
}

// end returns what the dump ended with.
func (d *dumpReader) end(m message) error {
	if m.typ == unix.NLMSG_ERROR {
		refusal, _, err := decodeAck(m, "dump")
		if refusal != nil {
			return refusal
		}
		return err
	}
	return doneError(m, d.interrupted)
}

// doneError reads the status that ends a dump.
func doneError(m message, interrupted bool) error {
	if len(m.payload) >= 4 {
		if errno := -int32(native.Uint32(m.payload)); errno > 0 {
			text, _, _ := decodeExtAck(message{flags: m.flags | unix.NLM_F_CAPPED, payload: m.payload}, 4)
			return &Error{Op: "dump", Errno: unix.Errno(errno), Message: text}
		}
	}
	if interrupted {
		return ErrInterrupted
	}
	return nil
}
