package agent

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// askers is how many questions are put to OVS at once.
const askers = 4

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
}

// pendingValidation is a Validate with the time when it came.
type pendingValidation struct {
	engine.Validate
	since time.Time
}

func (v *validator) put(e engine.Validate) { v.todo.put(pendingValidation{e, time.Now()}) }

// run lets a few ask at once: OVS answers one after the other, but does not have to
// wait for the next question then (measured: twice as many answers).
func (v *validator) run(ctx context.Context) error {
	v.health.ok()
	for {
		todo := v.todo.take(ctx)
		if todo == nil {
			return nil
		}
		var next atomic.Int64
		var asking sync.WaitGroup
		for range min(askers, len(todo)) {
			asking.Go(func() {
				for i := next.Add(1) - 1; int(i) < len(todo); i = next.Add(1) - 1 {
					if ev, ok := v.validate(ctx, todo[i]); ok {
						v.loop.post(ev)
					}
				}
			})
		}
		asking.Wait()
	}
}

// validate asks until there is an answer, or the time for it is over. It is false
// when ctx has ended.
func (v *validator) validate(ctx context.Context, p pendingValidation) (engine.Validated, bool) {
	ev := engine.Validated{Session: p.Session, Op: p.Op}
	err := errNotAsked
	for ; time.Since(p.since) <= p.Within; pause(ctx, askAgain) {
		var answer path.Answer
		answer, err = v.paths.Validate(ctx, path.Validation{Tuple: p.Tuples[flows.Orig], Paths: p.Paths, States: p.States}, v.loop.clock.now())
		if ctx.Err() != nil {
			return ev, false
		}
		refusal, refused := errors.AsType[*path.Refusal](err)
		switch {
		case err == nil:
			v.health.ok()
			ev.Stands, ev.Plain = standsIn(answer.Zones, p.Tuples[flows.Orig]), answer.Plain
			return ev, true
		case refused:
			v.health.ok()
			ev.Reason, ev.Detail = refusal.Reason, refusal.Detail
			return ev, true
		}
		v.health.failed(err)
	}
	ev.Reason, ev.Detail = flows.PathDoubted, err.Error()
	return ev, ctx.Err() == nil
}

var errNotAsked = errors.New("there was no time to ask OVS")
