package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// maxExplained bounds the entries of one answer; a tuple stands in a zone or two.
const maxExplained = 64

// Why implements control.Backend: it reads conntrack now and lets the engine
// judge what is there.
func (b *backend) Why(ctx context.Context, q control.Question) (control.Explanation, error) {
	found, err := b.find(ctx, q)
	if err != nil {
		return control.Explanation{}, err
	}
	x := control.Explanation{Checks: b.agentChecks()}
	if len(found) == 0 {
		x.Reason = flows.Gone
		return x, nil
	}
	var explained []engine.Explanation
	err = b.loop.ask(ctx, func(e *engine.Engine) {
		for i := range found {
			explained = append(explained, e.Explain(&found[i]))
		}
	})
	for i := range explained {
		x.Entries = append(x.Entries, b.entry(ctx, &explained[i], q.Tuple))
	}
	return x, err
}

// agentChecks say what holds for every connection.
func (b *backend) agentChecks() []control.Check {
	mode := control.Check{Name: "mode enforce", Result: control.ResultOK}
	if !b.cfg.Engine.Enforce {
		mode.Result, mode.Detail = control.ResultFailed, "mode observe: decides and installs nothing (--mode=enforce)"
	} else if t := b.ports.now.Load(); t != nil && t.forced != "" {
		mode.Result, mode.Detail = control.ResultFailed, string(t.forced)
	}
	ready := control.Check{Name: "ready", Result: control.ResultOK}
	if !(*Agent)(b).ready() {
		ready.Result = control.ResultFailed
	}
	return []control.Check{mode, ready}
}

func (b *backend) entry(ctx context.Context, x *engine.Explanation, asked flows.Tuple) control.Entry {
	e := control.Entry{
		Key: x.Entry.Key, Followed: x.Known, Verdict: x.Verdict, Reason: x.Reason, Detail: x.View.Detail,
		Dir: flows.Orig, Session: x.View.Session,
	}
	if asked == x.Entry.Reply || asked == x.Entry.Key.Tuple.Reverse() {
		e.Dir = flows.Reply
	}
	if x.Known {
		e.State = stateOf(&x.View)
	}
	paths, original := x.View.Paths, cmp.Or(x.View.Tuples[flows.Orig], x.Entry.Key.Tuple)
	for _, c := range x.Checks {
		if p := paths[flows.Orig]; c.Name == engine.PathCheck && p.In != 0 {
			c.Detail = b.between(p)
		}
		e.Checks = append(e.Checks, checkOf(c))
	}
	if x.View.Session == 0 {
		c, answer := b.pathCheck(ctx, &x.Entry)
		e.Checks = append(e.Checks, c)
		paths, original = answer.Paths, cmp.Or(answer.Tuples[flows.Orig], original)
	}
	if in := x.View.In; paths == (flows.Paths{}) { // OVS drops what is denied, so nothing tells a path
		paths = flows.Paths{{In: in[0], Out: in[1]}, {In: in[1], Out: in[0]}}
	}
	e.Checks = append(e.Checks, b.groupChecks(ctx, x.View.Session, paths, original)...)
	return e
}

// groupChecks tells what the security groups of both ends decide, and by which rule.
func (b *backend) groupChecks(ctx context.Context, id flows.SessionID, paths flows.Paths, original flows.Tuple) (list []control.Check) {
	if paths == (flows.Paths{}) {
		return nil
	}
	var checks []engine.Check
	if err := b.loop.ask(ctx, func(e *engine.Engine) { checks = e.ExplainGroups(id, paths, original) }); err != nil {
		return []control.Check{{Name: engine.EndCheck, Result: control.ResultUnknown, Detail: err.Error()}}
	}
	for _, c := range checks {
		if c.Outcome == engine.Failed {
			c.Detail = string(c.Reason) + ": " + c.Detail
		}
		list = append(list, checkOf(c))
	}
	return list
}

// pathCheck tells the path that a connection without a session would have.
func (b *backend) pathCheck(ctx context.Context, rec *flows.Entry) (control.Check, path.Answer) {
	c := control.Check{Name: "path known", Result: control.ResultOK}
	own := flows.ZoneState{Zone: rec.Key.Zone, Tuple: rec.Key.Tuple, Reply: rec.Reply, Mark: rec.Mark, Labels: rec.Labels}
	states := []flows.ZoneState{own}
	err := b.loop.ask(ctx, func(e *engine.Engine) {
		known, _ := e.States(rec.Key.Tuple)
		for _, s := range known {
			if s.Stand() != own.Stand() {
				states = append(states, s)
			}
		}
	})
	if err != nil {
		c.Result, c.Detail = control.ResultUnknown, err.Error()
		return c, path.Answer{}
	}
	answer, err := b.paths.Resolve(ctx, path.Request{Key: rec.Key, Reply: rec.Reply, States: states}, b.loop.clock.now())
	var refusal *path.Refusal
	switch {
	case err == nil:
		c.Detail = b.between(answer.Paths[flows.Orig])
	case errors.As(err, &refusal):
		c.Result, c.Detail = control.ResultFailed, string(refusal.Reason)+": "+refusal.Detail
	default:
		c.Result, c.Detail = control.ResultUnknown, err.Error()
	}
	b.taps.want()
	return c, answer
}

func (b *backend) between(p flows.Path) string {
	if p.Change.IsZero() && p.Tags.Len() == 0 {
		return fmt.Sprintf("%s (%s) to %s (%s)", b.ports.name(p.In), p.SrcMAC, b.ports.name(p.Out), p.DstMAC)
	}
	s := fmt.Sprintf("%s (%s) to %s", b.ports.name(p.In), p.Frame, b.ports.name(p.Out))
	if !p.Change.IsZero() {
		s += fmt.Sprintf(" (%s)", p.Change.Value())
	}
	return s
}

func checkOf(c engine.Check) control.Check {
	out := control.Check{Name: c.Name, Detail: c.Detail}
	switch c.Outcome {
	case engine.OK:
		out.Result = control.ResultOK
	case engine.Failed:
		out.Result = control.ResultFailed
		if c.Detail == "" {
			out.Detail = string(c.Reason)
		}
	case engine.Unknown:
		out.Result = control.ResultUnknown
	case engine.NotReached:
		out.Result = control.ResultNotReached
	}
	return out
}
