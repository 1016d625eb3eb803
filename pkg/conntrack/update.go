package conntrack

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
)

// Mark changes a conntrack mark: the bits of Mask take the values they have in
// Set, the others, which belong to someone else, stay. The zero value changes
// nothing.
type Mark struct {
	Set, Mask uint32
}

func (r *request) mark(m Mark) {
	r.uint32(ctaMark, m.Set&m.Mask)
	r.uint32(ctaMarkMask, m.Mask)
}

// Update is a change to one entry. A field with the zero value changes nothing;
// there is no field for a timeout, which only Refresh writes.
type Update struct {
	Key    flows.EntryKey
	Start  uint64   // flows.Entry.Start of the entry meant; 0: the id must do
	TCP    TCPFlags // SetLiberal or ClearMaxAck; no effect on other protocols
	Mark   Mark
	Labels Labels
}

// Update changes entries, many in one system call. It never creates one, and
// never writes a state, a window scale or a bit of mark or labels outside the mask.
//
// The kernel compares no id when it writes. So every entry is read before
// (ErrNotFound, nothing is written) and directly behind the write. What remains
// is a connection that takes the place of the old one in the few milliseconds
// between: it got the change, and the caller gets ErrReplaced. A successor that
// has even the id of the old one is told by its Start, if nf_conntrack_timestamp
// is on; else only by counters that went back.
func (c *Conn) Update(ctx context.Context, updates []Update, f Answer) error {
	return c.eachBatch(ctx, len(updates),
		func(i int, s *slot) {
			s.key, s.start = updates[i].Key, updates[i].Start
			s.change = change{tcp: updates[i].TCP, mark: updates[i].Mark, labels: updates[i].Labels}
		},
		func(batch []slot) error {
			if err := c.read(ctx, batch); err != nil {
				return err
			}
			c.pause()
			return c.write(ctx, batch)
		}, f)
}
