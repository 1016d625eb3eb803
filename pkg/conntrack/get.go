package conntrack

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
)

// Get reads the entries of keys, many in one system call. The error for a key
// is ErrNotFound where nothing has its tuple in its zone or what has it is
// another connection (its id differs); e is then that connection. Compare Start
// too: a successor may have even the id.
func (c *Conn) Get(ctx context.Context, keys []flows.EntryKey, f Answer) error {
	return c.eachBatch(ctx, len(keys),
		func(i int, s *slot) { s.key = keys[i] },
		func(batch []slot) error { return c.read(ctx, batch) },
		f)
}

// Find reads the entry that has a tuple, in either direction, in a zone,
// whatever its id.
func (c *Conn) Find(ctx context.Context, zone flows.Zone, tuple flows.Tuple) (flows.Entry, error) {
	var found flows.Entry
	var failed error
	key := flows.EntryKey{Zone: zone, Tuple: tuple}
	err := c.Get(ctx, []flows.EntryKey{key}, func(_ int, e *flows.Entry, err error) {
		if found = *e; !found.Key.Tuple.IsValid() {
			failed = err
		}
	})
	if err != nil {
		return flows.Entry{}, err
	}
	return found, failed
}
