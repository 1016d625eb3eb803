package agent

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// counter reads the eswitch's counters at intervals.
type counter struct {
	eswitch interface {
		Counters(ctx context.Context) ([]flows.SessionCounters, []flows.SessionID, error)
	}
	loop     *loop
	interval time.Duration
	health   *component
}

func (c *counter) run(ctx context.Context) error {
	for {
		began := time.Now()
		c.read(ctx)
		took := time.Since(began)
		pause(ctx, max(c.interval-took, took))
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (c *counter) read(ctx context.Context) {
	counts, lost, err := c.eswitch.Counters(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		c.health.failed(err)
	default:
		c.health.ok()
	}
	if len(counts) > 0 {
		c.loop.post(engine.Counted{Sessions: counts})
	}
	if len(lost) > 0 {
		c.loop.post(engine.RulesVanished{Sessions: lost})
	}
}
