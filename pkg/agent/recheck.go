package agent

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// rechecker asks at intervals whether OVS would still send the packets of offloaded
// sessions where the rules send them: a MAC that OVS has learned at another port
// is no event of any database.
type rechecker struct {
	paths interface {
		Recheck(ctx context.Context, paths flows.Paths, now flows.Instant) *path.Refusal
	}
	loop     *loop
	interval time.Duration
	grace    time.Duration // how long OVS may not answer
	health   *component

	answered time.Time
	bound    []bound
}

// bound is a session with the path that its rules have.
type bound struct {
	session flows.SessionID
	paths   flows.Paths
}

func (r *rechecker) run(ctx context.Context) error {
	r.answered = time.Now()
	r.health.ok()
	for {
		began := time.Now()
		r.check(ctx)
		took := time.Since(began)
		pause(ctx, max(r.interval-took, took))
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (r *rechecker) check(ctx context.Context) {
	r.bound = r.bound[:0]
	err := r.loop.ask(ctx, func(e *engine.Engine) {
		e.EachPath(func(id flows.SessionID, p flows.Paths) { r.bound = append(r.bound, bound{id, p}) })
	})
	if err != nil {
		return
	}
	var unknown []engine.Event
	var why *path.Refusal
	for _, b := range r.bound {
		refusal := r.paths.Recheck(ctx, b.paths, r.loop.clock.now())
		if ctx.Err() != nil {
			return
		}
		if refusal == nil {
			continue
		}
		ev := engine.PathRefused{Session: b.session, Reason: refusal.Reason, Detail: refusal.Detail}
		if refusal.Reason == flows.PathUnknown {
			why, unknown = refusal, append(unknown, ev)
			continue
		}
		r.loop.post(ev)
	}
	r.judgeSilence(why, unknown)
}

// judgeSilence bears that OVS does not answer, as while it is restarted, for the
// time of grace.
func (r *rechecker) judgeSilence(why *path.Refusal, unknown []engine.Event) {
	if why == nil {
		r.answered = time.Now()
		r.health.ok()
		return
	}
	r.health.failed(why)
	if time.Since(r.answered) > r.grace {
		r.loop.post(unknown...)
	}
}
