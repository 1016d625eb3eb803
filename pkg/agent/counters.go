package agent

import (
	"context"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// countedTogether is how many sessions' counters the engine takes at a time.
const countedTogether = 2048

// counter reads the eswitch's counters at intervals, and when asked to.
type counter struct {
	eswitch interface {
		Counters(ctx context.Context) ([]flows.SessionCounters, []flows.SessionID, error)
	}
	loop     *loop
	interval time.Duration
	health   *component
	now      chan struct{} // a value asks for a reading at once
}

// soon asks for a reading at once: rules may have vanished.
func (c *counter) soon() { signal(c.now) }

func (c *counter) run(ctx context.Context) error {
	for {
		began := time.Now()
		c.read(ctx)
		took := time.Since(began)
		if c.wait(ctx, max(c.interval-took, took), max(took, tick)) != nil {
			return nil
		}
	}
}

// wait returns after d, or sooner when asked for, but not before least has passed:
// however often that is.
func (c *counter) wait(ctx context.Context, d, least time.Duration) error {
	pause(ctx, least)
	timer := time.NewTimer(d - least)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.now:
	case <-ctx.Done():
	}
	return ctx.Err()
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
	for chunk := range slices.Chunk(counts, countedTogether) {
		c.loop.post(engine.Counted{Sessions: chunk})
	}
	if len(lost) > 0 {
		c.loop.post(engine.RulesVanished{Sessions: lost})
	}
}
