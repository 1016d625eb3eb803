package agent

import (
	"context"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
)

// remember writes the mark that forbids offload, or takes it off.
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
	x.update(ctx, updates, "an operator's order could not be written into conntrack")
}
