package agent

import (
	"context"
	"errors"
	"log/slog"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// resolver carries out Resolve. Its queue is bounded by the number of sessions.
type resolver struct {
	paths *path.Resolver
	loop  *loop
	todo  *queue[engine.Resolve]
	want  func() // evidence is missing somewhere
	log   *slog.Logger
}

func (r *resolver) run(ctx context.Context) error {
	for {
		todo := r.todo.take(ctx)
		if todo == nil {
			return nil
		}
		for _, e := range todo {
			ev := r.resolve(ctx, e)
			if ev.Reason != "" {
				r.log.Debug("no path", "session", e.Session, "reason", ev.Reason, "detail", ev.Detail)
			}
			r.loop.post(ev)
		}
		r.want()
	}
}

func (r *resolver) resolve(ctx context.Context, e engine.Resolve) engine.PathResolved {
	ev := engine.PathResolved{Session: e.Session, Op: e.Op}
	req := path.Request{Key: e.Entry, Reply: e.Reply, States: e.States, Silent: e.Silent}
	answer, err := r.paths.Resolve(ctx, req, r.loop.clock.now())
	refusal, refused := errors.AsType[*path.Refusal](err)
	switch {
	case err == nil:
		ev.Paths, ev.Tuples, ev.Stands, ev.Plain, ev.Inspected, ev.DSCP = answer.Paths, answer.Tuples, answer.Stands, answer.Plain, answer.Inspected, answer.DSCP
	case refused:
		ev.Reason, ev.Detail = refusal.Reason, refusal.Detail
	default:
		ev.Reason, ev.Detail = flows.PathUnknown, err.Error()
	}
	return ev
}
