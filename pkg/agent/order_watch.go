package agent

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
)

const (
	// offloadTime is how long an order to offload waits for what becomes of it; the others wait
	// until the rules are out, as long as the caller does.
	offloadTime = 3 * time.Second
	// markTime is how long is waited for the mark.
	markTime = time.Second
	// lookAgain is the time between two looks at what becomes of an order.
	lookAgain = 20 * time.Millisecond
)

// watchOrder waits until it is settled what becomes of an order, or for as long as may be. It
// fails with control.ErrGiven when nobody knows that any more; what was seen last stands in
// targets.
func (b *backend) watchOrder(ctx context.Context, o *control.Order, targets []target) error {
	began := time.Now()
	if o.Kind == control.OrderOffload {
		short, cancel := context.WithTimeout(ctx, offloadTime)
		defer cancel()
		ctx = short
	}
	for {
		busy := false
		err := b.loop.ask(context.WithoutCancel(ctx), func(e *engine.Engine) {
			for i := range targets {
				busy = b.lookAt(e, o, &targets[i], time.Since(began)) || busy
			}
		})
		switch {
		case err != nil:
			return given(err)
		case !busy || ctx.Err() != nil:
			return nil
		}
		pause(ctx, lookAgain)
	}
}

// lookAt looks what has become of the order about one entry, and reports whether more is to
// come.
func (b *backend) lookAt(e *engine.Engine, o *control.Order, t *target, waited time.Duration) bool {
	t.state = e.OrderState(engine.OrderKind(o.Kind), t.key)
	if o.Kind == control.OrderOffload {
		return t.state.Busy
	}
	if e.HasRules(t.before) {
		t.state.Outcome, t.state.Busy, t.state.Detail = engine.OrderWaits, true, "its rules are on their way out"
	}
	unmarked := b.cfg.Engine.Mark.Remembers() && !t.state.Remembered && t.state.Outcome != engine.OrderRefused
	return t.state.Busy || unmarked && waited < markTime
}

func (b *backend) outcome(o *control.Order, t *target) control.Ordered {
	r := control.Ordered{
		Key: t.key, Session: t.state.Session, Outcome: control.Outcome(t.state.Outcome),
		Reason: t.state.Reason, Detail: t.state.Detail, Remembered: t.state.Remembered,
	}
	if o.Kind == control.OrderOffload || r.Remembered || r.Outcome != control.OutcomeDone {
		return r
	}
	r.Detail = "the mark could not be written: another agent would not know"
	if !b.cfg.Engine.Mark.Remembers() {
		r.Detail = "no --mark-never: another agent would not know"
	}
	return r
}
