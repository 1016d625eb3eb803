package agent

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// recheckEvery is how often the paths of sessions are compared with what OVS has
// learned since.
const recheckEvery = time.Second

// rechecker looks whether OVS would still send a session's packets where its rules
// do: an address that is at another port by now ends it.
type rechecker struct {
	paths *path.Resolver
	loop  *loop
}

func (r *rechecker) run(ctx context.Context) error {
	for {
		pause(ctx, recheckEvery)
		if ctx.Err() != nil {
			return nil
		}
		r.check(ctx)
	}
}

func (r *rechecker) check(ctx context.Context) {
	var views []engine.View
	if r.loop.ask(ctx, func(e *engine.Engine) { views = e.Sessions() }) != nil {
		return
	}
	refused := make(map[flows.Paths]*path.Refusal) // many sessions share a pair of ends
	for i := range views {
		v := &views[i]
		if v.Paths == (flows.Paths{}) {
			continue
		}
		refusal, known := refused[v.Paths]
		if !known {
			refusal = r.paths.Recheck(ctx, v.Paths, r.loop.clock.now())
			refused[v.Paths] = refusal
		}
		// While ovs-vswitchd does not answer it learns nothing new either.
		if refusal != nil && refusal.Reason != flows.PathUnknown && ctx.Err() == nil {
			r.loop.post(engine.PathLost{Session: v.Session, Reason: refusal.Reason, Detail: refusal.Detail})
		}
	}
}
