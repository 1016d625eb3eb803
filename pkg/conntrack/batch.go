package conntrack

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// Answer receives the outcome for item i of a request. It is called once for
// each item, in order, unless the whole request fails. Where err is nil, e is
// the entry as last read; else it may hold what stands there instead, or
// nothing. e is valid until Answer returns.
type Answer func(i int, e *flows.Entry, err error)

// slot is the work on one entry of a batch. Once err is set, nothing more is
// written to the entry.
type slot struct {
	key     flows.EntryKey
	start   uint64      // of the entry that is meant; 0: not known
	packets [2]uint64   // counted when it was read first, by Dir
	change  change      // what to write
	entry   flows.Entry // as last read
	err     error
}

// isMeant reports whether the entry that was read is the one that is meant. An
// id is a hash of address and tuple, so a connection that reuses both, as one
// does that follows at once, has its predecessor's id (measured). It differs in
// its start, where nf_conntrack_timestamp is on, and begins to count anew.
func (s *slot) isMeant() bool {
	e := &s.entry
	return e.Key == s.key &&
		(s.start == 0 || e.Start == 0 || e.Start == s.start) &&
		e.Count[flows.Orig].Packets >= s.packets[flows.Orig] &&
		e.Count[flows.Reply].Packets >= s.packets[flows.Reply]
}

// pin makes the entry as read the one that is meant.
func (s *slot) pin() {
	s.start = s.entry.Start
	s.packets = [2]uint64{s.entry.Count[flows.Orig].Packets, s.entry.Count[flows.Reply].Packets}
}

// change is what to write to an entry. The zero value is nothing.
type change struct {
	timeout uint32 // seconds; 0 leaves it
	tcp     TCPFlags
	mark    Mark
	labels  Labels
}

// errUnanswered stays only if the kernel breaks its own rule that every read is
// answered.
var errUnanswered = errors.New("conntrack read was not answered")

// eachBatch splits n items into batches, lets fill prepare a slot and work do
// the batch, and hands out the results.
func (c *Conn) eachBatch(ctx context.Context, n int, fill func(i int, s *slot), work func([]slot) error, f Answer) error {
	end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	for start := 0; start < n; start += len(c.slots) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := c.reopen(); err != nil {
			return err
		}
		batch := c.slots[:min(len(c.slots), n-start)]
		for i := range batch {
			batch[i] = slot{}
			fill(start+i, &batch[i])
			batch[i].check()
		}
		if err := work(batch); err != nil {
			return err
		}
		for i := range batch {
			f(start+i, &batch[i].entry, batch[i].err)
		}
	}
	return nil
}

// check refuses a key that cannot be put into a request.
func (s *slot) check() {
	if !s.key.Tuple.IsValid() {
		s.err = fmt.Errorf("%w: the key has no valid tuple", ErrNotFound)
	}
}

// read reads the entries of a batch.
func (c *Conn) read(ctx context.Context, batch []slot) error {
	todo := c.pick(batch, func(s *slot) bool { return true })
	if len(todo) == 0 {
		return nil
	}
	c.req.reset()
	first := c.seq + 1
	for i, s := range todo {
		s.err = errUnanswered
		c.get(&s.key, i == len(todo)-1)
	}
	return c.exchange(ctx, first, c.seq, func(i int, m *message) { todo[i].readBy(m, ErrNotFound) })
}

// pick returns the slots without an error that want selects.
func (c *Conn) pick(batch []slot, want func(*slot) bool) []*slot {
	c.todo = c.todo[:0]
	for i := range batch {
		if s := &batch[i]; s.err == nil && want(s) {
			c.todo = append(c.todo, s)
		}
	}
	return c.todo
}

// pause lets a test act between reading and writing.
func (c *Conn) pause() {
	if c.beforeWrite != nil {
		c.beforeWrite()
	}
}

// write carries out the changes of a batch and reads each entry
// once more directly behind its own: the kernel does not compare the id
// before it writes, so only that tells which connection was hit. A change is
// answered only if it fails.
func (c *Conn) write(ctx context.Context, batch []slot) error {
	todo := c.pick(batch, func(s *slot) bool { return s.change != change{} })
	if len(todo) == 0 {
		return nil
	}
	c.req.reset()
	first := c.seq + 1
	for i, s := range todo {
		s.pin()
		s.err = errUnanswered
		c.set(s)
		c.get(&s.key, i == len(todo)-1)
	}
	return c.exchange(ctx, first, c.seq, func(i int, m *message) {
		if s := todo[i/2]; i%2 == 1 {
			s.readBy(m, ErrReplaced)
		} else {
			s.refusedBy(m)
		}
	})
}

// get appends a read of one entry to the request.
func (c *Conn) get(key *flows.EntryKey, last bool) {
	var flags uint16
	if last {
		flags = unix.NLM_F_ACK
	}
	c.seq++
	start := c.req.begin(msgGet, flags, c.seq, familyOf(key.Tuple))
	c.req.key(key)
	c.req.end(start)
}

// set appends a change. Without NLM_F_CREATE the kernel never makes an entry.
func (c *Conn) set(s *slot) {
	c.seq++
	start := c.req.begin(msgNew, 0, c.seq, familyOf(s.key.Tuple))
	c.req.key(&s.key)
	if s.change.timeout != 0 {
		c.req.uint32(ctaTimeout, s.change.timeout)
	}
	if s.change.tcp.Mask != 0 {
		c.req.tcpFlags(s.change.tcp)
	}
	if s.change.mark.Mask != 0 {
		c.req.mark(s.change.mark)
	}
	if s.change.labels.Mask != [16]byte{} {
		c.req.labels(s.change.labels)
	}
	c.req.end(start)
}

// readBy takes the answer to a read. A failed change stays the slot's error.
// The kernel looks up by tuple and zone alone, in either direction; other is
// the error where the entry found is not the one that was asked for.
func (s *slot) readBy(m *message, other error) {
	failed := s.err != errUnanswered
	err := refusal("get", m)
	if m.isEntry() {
		if err = decodeEntry(m.raw, &s.entry); err == nil && !s.isMeant() {
			err = other
		}
	}
	if !failed {
		s.err = err
	}
}

// refusedBy takes the answer to a change.
func (s *slot) refusedBy(m *message) {
	if err := refusal("update", m); err != nil {
		s.err = err
	}
}

// isAck reports whether m says that the last message of a batch is done.
func isAck(m *message) bool {
	if m.typ != unix.NLMSG_ERROR {
		return false
	}
	errno, _, err := m.errno()
	return err == nil && errno == 0
}
