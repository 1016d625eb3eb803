package conntrack

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// Delete removes one entry: ErrNotFound where it does not exist or the one that
// has its tuple has another id, which the kernel itself compares. (A
// successor that reuses the entry's memory at once has the same id.) Mind that deletion is no way to revoke: the next
// packet may make an entry in the other direction.
func (c *Conn) Delete(ctx context.Context, key flows.EntryKey) error {
	if key.ID == 0 || !key.Tuple.IsValid() {
		return ErrNotFound // without either the kernel would delete by less, or everything
	}
	end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	c.req.reset()
	c.seq++
	start := c.req.begin(msgDelete, unix.NLM_F_ACK, c.seq, familyOf(key.Tuple))
	c.req.key(&key)
	c.req.end(start)
	var refused error
	err = c.exchange(ctx, c.seq, c.seq, func(_ int, m *message) { refused = refusal("delete", m) })
	if err != nil {
		return err
	}
	return refused
}
