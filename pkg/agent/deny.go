package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
)

// deny sets the network service's bit for denied connections.
func (x *entries) deny(ctx context.Context, todo []engine.Effect) {
	var updates []conntrack.Update
	for _, e := range todo {
		e, ok := e.(engine.Deny)
		if !ok {
			continue
		}
		for _, d := range e.Entries {
			updates = append(updates, x.denial(d))
		}
	}
	x.update(ctx, updates, "the network service's bit for denied connections could not be set")
}

// update writes marks and labels. What became of it is told as any read of the entries is; one
// that is gone needs none. Failed says what was wanted.
func (x *entries) update(ctx context.Context, updates []conntrack.Update, failed string) {
	if len(updates) == 0 {
		return
	}
	ev := engine.EntriesRead{At: x.loop.clock.now()}
	err := x.conn.Update(ctx, updates, func(_ int, e *flows.Entry, err error) {
		switch {
		case err == nil && e != nil:
			ev.Entries = append(ev.Entries, *e)
		case err != nil && !errors.Is(err, conntrack.ErrNotFound) && !errors.Is(err, conntrack.ErrReplaced):
			x.health.note(fmt.Errorf("%s: %w", failed, err))
		}
	})
	x.health.outcome(err)
	x.loop.post(ev)
}

// ovnBlocked is OVN's bit in the label, where it does not use the mark
// (OVN_CT_BLOCKED_BIT in ovn's include/ovn/logical-fields.h).
const ovnBlocked = 1 << 0

func (x *entries) denial(d engine.DenyEntry) conntrack.Update {
	if d.Label {
		bit := [16]byte{ovnBlocked}
		return conntrack.Update{Key: d.Key, Labels: conntrack.Labels{Set: bit, Mask: bit}}
	}
	return conntrack.Update{Key: d.Key, Mark: conntrack.Mark{Set: x.blocked.Value, Mask: x.blocked.Mask}}
}
