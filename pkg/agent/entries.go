package agent

import (
	"context"
	"errors"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
)

// table is what the executor needs of conntrack.
type table interface {
	Get(ctx context.Context, keys []flows.EntryKey, f conntrack.Answer) error
	Update(ctx context.Context, updates []conntrack.Update, f conntrack.Answer) error
	Refresh(ctx context.Context, refreshes []conntrack.Refresh, f conntrack.Answer) error
}

// entries carries out the effects on conntrack entries: Read, Relax, KeepAlive.
// Everything that waits goes to the kernel together. Its queue is bounded by the
// number of sessions: each has a few effects under way.
type entries struct {
	conn    table
	loop    *loop
	todo    *queue[engine.Effect]
	blocked engine.MaskedMark // the bit of the network service by which it denies
	never   engine.MaskedMark // by which an operator's order is remembered
	health  *component
}

func (x *entries) run(ctx context.Context) error {
	for {
		todo := x.todo.take(ctx)
		if todo == nil {
			return nil
		}
		x.relax(ctx, todo)
		x.deny(ctx, todo)
		x.remember(ctx, todo)
		x.keepAlive(ctx, todo)
		x.read(ctx, todo)
	}
}

// span is the part of one effect in a request for many.
type span struct {
	session flows.SessionID
	op      uint64
	n       int // keys
}

func (x *entries) read(ctx context.Context, todo []engine.Effect) {
	var spans []span
	var keys []flows.EntryKey
	for _, e := range todo {
		if e, ok := e.(engine.Read); ok {
			spans = append(spans, span{e.Session, e.Op, len(e.Entries)})
			keys = append(keys, e.Entries...)
		}
	}
	x.report(x.twice(ctx, spans, func(a *answers) error {
		return x.conn.Get(ctx, keys, func(i int, e *flows.Entry, err error) { a.take(i, keys[i], e, err) })
	}))
}

func (x *entries) keepAlive(ctx context.Context, todo []engine.Effect) {
	var spans []span
	var keys []flows.EntryKey
	var refreshes []conntrack.Refresh
	for _, e := range todo {
		if e, ok := e.(engine.KeepAlive); ok {
			spans = append(spans, span{e.Session, e.Op, len(e.Entries)})
			for _, key := range e.Entries {
				keys = append(keys, key)
				refreshes = append(refreshes, conntrack.Refresh{Key: key, Timeout: e.Timeout})
			}
		}
	}
	x.report(x.twice(ctx, spans, func(a *answers) error {
		return x.conn.Refresh(ctx, refreshes, func(i int, e *flows.Entry, err error) {
			if errors.Is(err, conntrack.ErrClosing) && e != nil {
				err = nil // that it is closing is an answer, which the engine understands
			}
			a.take(i, keys[i], e, err)
		})
	}))
}

// twice carries out a request for many, and once more if it failed as a whole: every
// session of it would have to leave.
func (x *entries) twice(ctx context.Context, spans []span, request func(*answers) error) (*answers, error) {
	a := x.answers(spans)
	if len(spans) == 0 {
		return a, nil
	}
	err := request(a)
	if err != nil && ctx.Err() == nil {
		a = x.answers(spans)
		err = request(a)
	}
	return a, err
}

func (x *entries) relax(ctx context.Context, todo []engine.Effect) {
	var events []engine.Relaxed
	var updates []conntrack.Update
	var owner []int
	for _, e := range todo {
		e, ok := e.(engine.Relax)
		if !ok {
			continue
		}
		flags := conntrack.SetLiberal
		if e.Step == engine.ClearMaxAck {
			flags = conntrack.ClearMaxAck
		}
		for _, key := range e.Entries {
			updates = append(updates, conntrack.Update{Key: key, TCP: flags})
			owner = append(owner, len(events))
		}
		events = append(events, engine.Relaxed{Session: e.Session, Op: e.Op})
	}
	if len(updates) == 0 {
		return
	}
	err := x.conn.Update(ctx, updates, func(i int, _ *flows.Entry, err error) {
		events[owner[i]].Err = errors.Join(events[owner[i]].Err, err)
	})
	x.health.outcome(err)
	for _, ev := range events {
		ev.Err = errors.Join(ev.Err, err)
		x.loop.post(ev)
	}
}

// answers collects the answers to many effects that went out as one request.
type answers struct {
	events []engine.SessionRead
	owner  []int // of each key
}

func (x *entries) answers(spans []span) *answers {
	a := &answers{}
	at := x.loop.clock.now()
	for _, s := range spans {
		for range s.n {
			a.owner = append(a.owner, len(a.events))
		}
		a.events = append(a.events, engine.SessionRead{Session: s.session, Op: s.op, At: at})
	}
	return a
}

func (a *answers) take(i int, key flows.EntryKey, e *flows.Entry, err error) {
	ev := &a.events[a.owner[i]]
	switch {
	case err == nil:
		ev.Found = append(ev.Found, *e)
	case errors.Is(err, conntrack.ErrNotFound), errors.Is(err, conntrack.ErrReplaced):
		ev.Missing = append(ev.Missing, key)
	default:
		ev.Err = errors.Join(ev.Err, err)
	}
}

func (x *entries) report(a *answers, err error) {
	if len(a.events) == 0 {
		return
	}
	x.health.outcome(err)
	for _, ev := range a.events {
		ev.Err = errors.Join(ev.Err, err)
		x.loop.post(ev)
	}
}
