package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
)

// remember writes the mark that forbids offload, or takes it off. What became of it is told
// as any read of the entries is.
func (x *entries) remember(ctx context.Context, todo []engine.Effect) {
	var updates []conntrack.Update
	for _, e := range todo {
		e, ok := e.(engine.Remember)
		if !ok {
			continue
		}
		mark := conntrack.Mark{Mask: x.never.Mask}
		if e.Never {
			mark.Set = x.never.Value
		}
		for _, key := range e.Entries {
			updates = append(updates, conntrack.Update{Key: key, Mark: mark})
		}
	}
	if len(updates) == 0 {
		return
	}
	ev := engine.EntriesRead{At: x.loop.clock.now()}
	err := x.conn.Update(ctx, updates, func(_ int, e *flows.Entry, err error) {
		switch {
		case err == nil && e != nil:
			ev.Entries = append(ev.Entries, *e)
		case err != nil && !errors.Is(err, conntrack.ErrNotFound) && !errors.Is(err, conntrack.ErrReplaced):
			x.health.note(fmt.Errorf("an operator's order could not be written into conntrack: %w", err))
		}
	})
	x.health.outcome(err)
	x.loop.post(ev)
}
