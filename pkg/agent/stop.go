package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flowshunt/flowshunt/flows/engine"
)

// stopTime bounds how long a stop waits for sessions to leave one by one; whatever
// is left then is flushed, which may take flushTime. The unit's TimeoutStopSec is
// above the sum.
const (
	stopTime  = 5 * time.Second
	flushTime = time.Minute
)

// stop takes the rules out, unless they are to be kept. The executors still run,
// unless one of them has failed.
func (a *Agent) stop() error {
	if a.cfg.KeepOnExit {
		// What was revoked is not kept, nor what OVS may just have changed: it is answered
		// within --validate-within. A successor may be long in coming.
		a.settle(func(e *engine.Engine) bool { return e.Doubted() == 0 && e.Used()[engine.Removing] == 0 })
		return nil
	}
	a.loop.post(engine.Stop{})
	a.settle(func(e *engine.Engine) bool { return len(e.Used()) == 0 })
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	_, err := a.eswitch.Flush(ctx)
	for ifindex := range a.ports.prepared {
		err = errors.Join(err, a.eswitch.ReleasePort(ctx, ifindex))
	}
	if err != nil {
		return fmt.Errorf("rules may be left (flowshuntctl audit tells): %w", err)
	}
	return nil
}

// settle waits until the engine is done, or cannot be asked any more, for at most
// stopTime.
func (a *Agent) settle(done func(*engine.Engine) bool) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	for ctx.Err() == nil {
		pause(ctx, tick)
		is := false
		if err := a.loop.ask(ctx, func(e *engine.Engine) { is = done(e) }); err != nil || is {
			return
		}
	}
}
