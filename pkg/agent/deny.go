package agent

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
)

// deny sets the network service's bit for denied connections. What became of it is told as
// any read of the entries is; one that is gone needs no bit.
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
	if len(updates) == 0 {
		return
	}
	ev := engine.EntriesRead{At: x.loop.clock.now()}
	err := x.conn.Update(ctx, updates, func(_ int, e *flows.Entry, err error) {
		if err == nil && e != nil {
			ev.Entries = append(ev.Entries, *e)
		}
	})
	x.health.outcome(err)
	x.loop.post(ev)
}

func (x *entries) denial(d engine.DenyEntry) conntrack.Update {
	return conntrack.Update{Key: d.Key, Mark: conntrack.Mark{Set: x.blocked.Value, Mask: x.blocked.Mask}}
}
