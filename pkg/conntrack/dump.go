package conntrack

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// Dump walks the table and hands each entry that filter selects to f, without
// allocating memory for it: e is one Entry that the next one overwrites. The
// walk is not a snapshot. An entry that stands in the table from beginning to
// end is seen at least once, maybe more often.
//
// Where that cannot be promised, because the kernel resized its table, Dump
// goes on to the end and returns ErrDumpInterrupted: what was handed out is
// true, but what was not seen need not be gone. Any other error, that of f or
// the end of ctx included, ends the walk at once.
func (c *Conn) Dump(ctx context.Context, filter Filter, f func(e *flows.Entry) error) error {
	end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	c.seq++
	c.req.reset()
	start := c.req.begin(msgGet, unix.NLM_F_DUMP, c.seq, filter.Family)
	c.req.dump(&filter)
	c.req.end(start)

	walk := walk{port: c.port, seq: c.seq, filter: &filter, entry: &c.entry, f: f}
	each := walk.message // bound once, not for every datagram
	err = c.wire.send(c.req.b)
	for done := false; err == nil && !done; {
		if err = ctx.Err(); err == nil { // a reader that is always busy never waits for it
			done, err = c.receive(each)
		}
	}
	if err != nil && !walk.done {
		// The kernel has not finished, and would answer into the next request.
		_ = c.drop()
		return cause(ctx, err)
	}
	if err == nil && walk.interrupted {
		return ErrDumpInterrupted
	}
	return err
}

// walk is the state of one dump.
type walk struct {
	port, seq   uint32
	filter      *Filter
	entry       *flows.Entry
	f           func(*flows.Entry) error
	interrupted bool
	done        bool // the kernel has said its last word
}

func (w *walk) message(m *message) (stop bool, err error) {
	if m.seq != w.seq || m.port != w.port {
		return false, nil
	}
	w.interrupted = w.interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
	switch {
	case m.typ == unix.NLMSG_DONE || m.typ == unix.NLMSG_ERROR:
		w.done = true
		return true, refusal("dump", m)
	case !m.isEntry():
		return false, nil
	}
	if err := decodeEntry(m.raw, w.entry); err != nil {
		return false, err
	}
	if !w.filter.matches(w.entry) {
		return false, nil
	}
	return false, w.f(w.entry)
}
