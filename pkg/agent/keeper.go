package agent

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/flows/engine"
)

// keeper lets the rules live on that end by themselves, as long as the engine answers:
// those of an agent that hangs end like those of one that died.
type keeper struct {
	eswitch interface {
		Keep(ctx context.Context) error
		KeepWithin() time.Duration
	}
	loop   *loop
	health *component
}

// keepShare is how often in their life rules are kept.
const keepShare = 3

func (k *keeper) run(ctx context.Context) error {
	every := k.eswitch.KeepWithin() / keepShare
	if every == 0 {
		return nil
	}
	for {
		pause(ctx, every)
		if k.loop.ask(ctx, func(*engine.Engine) {}) != nil {
			return nil
		}
		if err := k.eswitch.Keep(ctx); ctx.Err() != nil {
			return nil
		} else if err != nil {
			k.health.failed(err)
		} else {
			k.health.ok()
		}
	}
}
