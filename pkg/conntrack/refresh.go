package conntrack

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
)

// Refresh asks that an entry live for at least Timeout seconds more.
type Refresh struct {
	Key     flows.EntryKey
	Start   uint64 // flows.Entry.Start of the entry meant; 0: the id must do
	Timeout uint32
}

// Refresh raises timeouts, many in one system call. It never creates an entry
// and reads each one just before it decides: nothing is written where at least
// the wanted time remains, and nothing (ErrClosing) where the entry is dying or
// its TCP state is a closing one. The entry that f gets is the one read last,
// after a write; so the caller learns state and counters too.
//
// Between reading and writing lie a few milliseconds. A connection that closed
// within them is seen by the second read: it gets the kernel's own timeout of
// its state back, and f ErrClosing. For one that was replaced: ErrReplaced; the
// newcomer's next packet sets its timeout right. A packet that raised the
// timeout above the wanted one meanwhile loses that: ask for no less than the
// kernel's own timeout (ReadTimeouts).
func (c *Conn) Refresh(ctx context.Context, refreshes []Refresh, f Answer) error {
	return c.eachBatch(ctx, len(refreshes),
		func(i int, s *slot) {
			s.key, s.start = refreshes[i].Key, refreshes[i].Start
			s.change.timeout = refreshes[i].Timeout
		},
		func(batch []slot) error { return c.refresh(ctx, batch) },
		f)
}

func (c *Conn) refresh(ctx context.Context, batch []slot) error {
	if err := c.read(ctx, batch); err != nil {
		return err
	}
	for i := range batch {
		batch[i].judge()
	}
	c.pause()
	if err := c.write(ctx, batch); err != nil {
		return err
	}
	return c.takeBack(ctx, batch)
}

// judge drops a write that must not happen.
func (s *slot) judge() {
	switch {
	case s.err != nil:
	case isClosing(&s.entry):
		s.err = ErrClosing
	case s.entry.Timeout >= s.change.timeout:
		s.change = change{}
	}
}

// takeBack gives entries that closed between reading and writing the timeout
// of their state. It lowers only what the write before it raised.
func (c *Conn) takeBack(ctx context.Context, batch []slot) error {
	raised := false
	for i := range batch {
		s := &batch[i]
		s.change.timeout = c.closing.undo(s)
		raised = raised || s.change.timeout != 0
	}
	if !raised {
		return nil
	}
	if err := c.write(ctx, batch); err != nil {
		return err
	}
	for i := range batch {
		if s := &batch[i]; s.err == nil && s.change.timeout != 0 {
			s.err = ErrClosing
		}
	}
	return nil
}

// undo returns the timeout to write back to an entry, 0 for none.
func (t *closingTimeouts) undo(s *slot) uint32 {
	if s.err != nil || s.change.timeout == 0 || !isClosing(&s.entry) {
		return 0
	}
	own := t.of(s.entry.TCP.State)
	if s.entry.Timeout <= own {
		return 0
	}
	return own
}

// isClosing reports whether a timeout must not be raised any more.
func isClosing(e *flows.Entry) bool {
	return e.Status.Has(flows.StatusDying) || e.Key.Tuple.Proto == flows.TCP && e.TCP.State.Closing()
}
