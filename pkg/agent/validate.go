package agent

import (
	"context"
	"errors"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// askAgain is the pause after OVS could not be asked.
const askAgain = 50 * time.Millisecond

// validator carries out Validate, in the order of the engine, which bounds how many
// are on their way.
type validator struct {
	paths interface {
		Validate(ctx context.Context, v path.Validation, now flows.Instant) (path.Answer, error)
	}
	loop   *loop
	todo   *queue[pendingValidation]
	health *component
	took   func(time.Duration) // told of each, may be nil
}

// pendingValidation is a Validate with the time when it came.
type pendingValidation struct {
	engine.Validate
	since time.Time
}

func (v *validator) put(e engine.Validate) { v.todo.put(pendingValidation{e, time.Now()}) }

func (v *validator) run(ctx context.Context) error {
	v.health.ok()
	for {
		todo := v.todo.take(ctx)
		if todo == nil {
			return nil
		}
		for _, p := range todo {
			ev, ok := v.validate(ctx, p)
			if !ok {
				return nil
			}
			if v.took != nil {
				v.took(time.Since(p.since))
			}
			v.loop.post(ev)
		}
	}
}

// validate asks until there is an answer, or the time for it is over. It is false
// when ctx has ended.
func (v *validator) validate(ctx context.Context, p pendingValidation) (engine.Validated, bool) {
	ev := engine.Validated{Session: p.Session, Op: p.Op}
	for {
		answer, err := v.paths.Validate(ctx, path.Validation{Tuple: p.Tuple, Paths: p.Paths, States: p.States}, v.loop.clock.now())
		if ctx.Err() != nil {
			return ev, false
		}
		refusal, refused := errors.AsType[*path.Refusal](err)
		switch {
		case err == nil:
			v.health.ok()
			ev.Zones, ev.Plain = answer.Zones, answer.Plain
			return ev, true
		case refused:
			v.health.ok()
			ev.Reason, ev.Detail = refusal.Reason, refusal.Detail
			return ev, true
		}
		v.health.failed(err)
		if time.Since(p.since) > p.Within {
			ev.Reason, ev.Detail = flows.PathDoubted, err.Error()
			return ev, true
		}
		pause(ctx, askAgain)
	}
}
