package eswitch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// Result is what became of the installation of one session.
type Result struct {
	// Err is nil if all rules of the session are in. Else none is, unless
	// ErrUnknown is in its chain as well: then a rule may be left that could not be
	// rolled back, and Remove must be called (it knows of it) or Sweep.
	Err error
	// InHW says that hardware has all rules.
	InHW bool
}

// pending is a session on its way in.
type pending struct {
	id      flows.SessionID
	session *session
	result  *Result
}

// Install installs sessions, all rules of each or none, and returns a result for
// each. A session that is installed already with the same rules is a success.
//
// Errors are a *RuleError with ErrFull, ErrNotOffloaded, ErrPortGone,
// ErrNotPrepared, ErrExists, ErrNotSupported or ErrInvalid in its chain, or
// ErrOvertaken, ErrBusy, ErrConflict, or the context's. After the context ended
// nothing more is sent, and what was sent for half a session is rolled back.
func (e *Eswitch) Install(ctx context.Context, sessions []flows.Session) []Result {
	results := make([]Result, len(sessions))
	todo := e.claim(sessions, results)
	e.chunks(len(todo), func(from, to int) { e.installChunk(ctx, todo[from:to]) })
	return results
}

// claim registers those sessions that are to be installed, and enters the results
// of all others. Sessions of one chunk end together: they share a channel.
func (e *Eswitch) claim(sessions []flows.Session, results []Result) []pending {
	todo := make([]pending, 0, len(sessions))
	var done chan struct{}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, s := range sessions {
		if err := check(s); err != nil {
			results[i].Err = err
			continue
		}
		if known := e.sessions[s.ID]; known != nil {
			results[i].Err = known.again(s)
			continue
		}
		if len(todo)%e.cfg.Chunk == 0 {
			done = make(chan struct{})
		}
		n := &session{state: installing, done: done, hardware: s.Eswitch != "", rules: make([]rule, len(s.Rules))}
		for j, r := range s.Rules {
			n.rules[j] = e.place(r)
		}
		n.guards = e.guardsOf(s.Rules)
		e.sessions[s.ID] = n
		todo = append(todo, pending{s.ID, n, &results[i]})
	}
	return todo
}

// again says what the installation of a session means that is known already.
func (s *session) again(want flows.Session) error {
	if s.state != installed {
		return fmt.Errorf("session %s: %w", want.ID, ErrBusy)
	}
	same := slices.EqualFunc(s.rules, want.Rules, func(a rule, b flows.Rule) bool {
		return a.rule == b || s.hidesBreak && a.rule == hideBreak(b)
	})
	if !same {
		return fmt.Errorf("session %s: %w", want.ID, ErrConflict)
	}
	return nil
}

// hideBreak returns a rule as it is read back where the kernel does not tell MayBreak.
func hideBreak(r flows.Rule) flows.Rule {
	if r.Change.IsZero() || r.Change.Value().Tunnel.IsZero() {
		return r
	}
	c := r.Change.Value()
	t := c.Tunnel.Value()
	t.MayBreak = false
	c.Tunnel = flows.RefTo(t)
	r.Change = flows.RefTo(c)
	return r
}

// installChunk installs sessions that share one done channel.
func (e *Eswitch) installChunk(ctx context.Context, todo []pending) {
	defer close(todo[0].session.done)
	e.raise(ctx, todo)
	changes := e.additions(ctx, todo)
	e.driver.Apply(ctx, changes)
	undo := e.commit(todo, changes, e.confirm(ctx, todo))
	if len(undo) == 0 {
		return
	}
	ctx, cancel := e.afterwards(ctx)
	defer cancel()
	e.driver.Apply(ctx, undo)
	e.rolledBack(todo, undo)
}

// additions returns the changes for those sessions that are still wanted. The
// others fail here, with nothing sent.
func (e *Eswitch) additions(ctx context.Context, todo []pending) []Change {
	changes := make([]Change, 0, 2*len(todo))
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range todo {
		switch {
		case p.session.overtaken:
			p.result.Err = fmt.Errorf("session %s: %w", p.id, ErrOvertaken)
		case ctx.Err() != nil:
			p.result.Err = fmt.Errorf("session %s: %w", p.id, ctx.Err())
		default:
			if p.result.Err = e.unguarded(p.id, p.session, nil); p.result.Err != nil {
				break
			}
			p.session.sent = true
			for _, r := range p.session.rules {
				changes = append(changes, Change{Op: Add, Ref: r.ref, Session: p.id, Rule: r.rule, Hardware: p.session.hardware})
			}
			continue
		}
		delete(e.sessions, p.id)
	}
	return changes
}

// commit takes the outcome of the additions, and why it is not known whether the guards
// are there. It returns what has to be undone;
// the sessions concerned stay in the state installing until that was tried.
func (e *Eswitch) commit(todo []pending, changes []Change, errGuards error) (undo []Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range todo {
		if p.result.Err != nil {
			continue // was never sent
		}
		mine := changes[:len(p.session.rules)]
		changes = changes[len(mine):]
		p.result.take(mine)
		if p.result.Err == nil {
			p.result.Err = e.unguarded(p.id, p.session, mine)
		}
		if p.result.Err == nil && errGuards != nil && p.session.guards != nil {
			p.result.Err = &RuleError{Session: p.id, Rule: mine[0].Rule, Op: Add, Err: fmt.Errorf("guard: %w", errGuards)}
		}
		if p.result.Err == nil && p.session.overtaken {
			p.result.Err = fmt.Errorf("session %s: %w", p.id, ErrOvertaken)
		}
		if p.result.Err == nil {
			p.session.state, p.session.born = installed, e.epoch
			e.occupy(p.session, 1)
			continue
		}
		before := len(undo)
		undo = appendUndo(undo, mine)
		if len(undo) == before {
			delete(e.sessions, p.id)
		}
	}
	return undo
}

// take makes one result of those of the rules: the first error counts.
func (r *Result) take(rules []Change) {
	r.InHW = true
	for _, c := range rules {
		r.InHW = r.InHW && c.InHW
		if c.Err != nil {
			*r = Result{Err: &RuleError{Session: c.Session, Rule: c.Rule, Op: Add, Err: c.Err}}
			return
		}
	}
}

// appendUndo appends what deletes the rules that are, or may be, in.
func appendUndo(undo, added []Change) []Change {
	for _, c := range added {
		if c.Err == nil || errors.Is(c.Err, ErrUnknown) {
			undo = append(undo, Change{Op: Delete, Ref: c.Ref, Session: c.Session, Rule: c.Rule})
		}
	}
	return undo
}

// rolledBack takes the outcome of the undoing: sessions are forgotten, but for
// those of which something is left.
func (e *Eswitch) rolledBack(todo []pending, undone []Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range todo {
		if e.sessions[p.id] != p.session || p.session.state != installing {
			continue // is in, or was forgotten already
		}
		var left []rule
		for _, c := range undone {
			if c.Session == p.id && c.Err != nil {
				left = append(left, rule{c.Ref, c.Rule})
				p.result.Err = fmt.Errorf("%w; %w: rollback: %w", p.result.Err, ErrUnknown, c.Err)
			}
		}
		e.leave(p.id, p.session, left)
	}
}

// leave forgets a session, or keeps in mind what is left of it. e.mu is held.
func (e *Eswitch) leave(id flows.SessionID, s *session, left []rule) {
	if len(left) == 0 {
		delete(e.sessions, id)
		return
	}
	s.state, s.rules, s.overtaken = residue, left, false
}
