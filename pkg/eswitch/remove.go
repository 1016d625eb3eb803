package eswitch

import (
	"context"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// leaving is a session on its way out.
type leaving struct {
	id      flows.SessionID
	session *session
	err     *error
	done    <-chan struct{} // of the operation to wait for
}

// Remove removes sessions with all their rules and returns an error for each.
// What is not there (any more) is removed: sessions that are not known, rules
// that somebody else deleted, ports that are gone. A session being installed is
// rolled back by that installation, for which Remove waits.
//
// After an error the session is still known and Remove can be repeated. If ctx
// ends while Remove waits for an installation, that is rolled back all the same.
func (e *Eswitch) Remove(ctx context.Context, ids []flows.SessionID) []error {
	errs := make([]error, len(ids))
	todo, wait := e.claimRemoval(ids, errs)
	e.chunks(len(todo), func(from, to int) { e.removeChunk(ctx, todo[from:to]) })
	for _, w := range wait {
		select {
		case <-w.done:
			*w.err = e.Remove(ctx, []flows.SessionID{w.id})[0] // what the other left, most often nothing
		case <-ctx.Done():
			*w.err = fmt.Errorf("session %s: %w", w.id, ctx.Err())
		}
	}
	return errs
}

func (e *Eswitch) claimRemoval(ids []flows.SessionID, errs []error) (todo, wait []leaving) {
	var done chan struct{}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, id := range ids {
		s := e.sessions[id]
		if s == nil {
			continue
		}
		l := leaving{id, s, &errs[i], s.done}
		if s.state == installing || s.state == removing {
			s.overtaken = true
			wait = append(wait, l)
			continue
		}
		if len(todo)%e.cfg.Chunk == 0 {
			done = make(chan struct{})
		}
		if s.state == installed {
			e.occupy(s, -1)
		}
		s.state, s.done = removing, done
		todo = append(todo, l)
	}
	return todo, wait
}

// removeChunk removes sessions that share one done channel.
func (e *Eswitch) removeChunk(ctx context.Context, todo []leaving) {
	defer close(todo[0].session.done)
	changes := make([]Change, 0, 2*len(todo))
	for _, l := range todo { // the rules of a session in the state removing are this goroutine's
		for _, r := range l.session.rules {
			changes = append(changes, Change{Op: Delete, Ref: r.ref, Session: l.id, Rule: r.rule})
		}
	}
	e.driver.Apply(ctx, changes)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range todo {
		mine := changes[:len(l.session.rules)]
		changes = changes[len(mine):]
		var left []rule
		for _, c := range mine {
			if c.Err != nil {
				left = append(left, rule{c.Ref, c.Rule})
				*l.err = &RuleError{Session: l.id, Rule: c.Rule, Op: Delete, Err: c.Err}
			}
		}
		e.leave(l.id, l.session, left)
	}
}
