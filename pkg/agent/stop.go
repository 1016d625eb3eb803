package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flowshunt/flowshunt/flows/engine"
)

// stopTime bounds how long a stop waits for sessions to leave one by one; whatever
// is left then is flushed.
const stopTime = 5 * time.Second

// stop takes the rules out, unless they are to be kept. The executors still run.
func (a *Agent) stop(ctx context.Context) error {
	if a.cfg.KeepOnExit {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopTime)
	defer cancel()
	a.loop.post(engine.Stop{})
	for deadline := time.Now().Add(stopTime); time.Now().Before(deadline); pause(ctx, tick) {
		left := 0
		if a.loop.ask(ctx, func(e *engine.Engine) { left = len(e.Sessions()) }) != nil || left == 0 {
			break
		}
	}
	_, err := a.eswitch.Flush(ctx)
	for ifindex := range a.ports.prepared {
		err = errors.Join(err, a.eswitch.ReleasePort(ctx, ifindex))
	}
	if err != nil {
		return fmt.Errorf("rules may be left (flowshuntctl audit tells): %w", err)
	}
	return nil
}
