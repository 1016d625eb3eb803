package eswitch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// PreparePort makes a port ready for rules that take packets in there. It must
// have succeeded before Install and is idempotent. Errors: ErrPortGone,
// ErrIngress, ErrForeign, ErrNotSupported.
func (e *Eswitch) PreparePort(ctx context.Context, link int32) error {
	if err := e.driver.Prepare(ctx, link); err != nil {
		return err
	}
	if e.reserved(link) {
		return nil
	}
	if err := e.driver.Rules(ctx, Scope{Link: link}, func(f *Found) { e.reserve(f.Ref.Handle) }); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.read[link] = true
	return nil
}

// reserved reports whether the handles of what stood at a port are known.
func (e *Eswitch) reserved(link int32) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.read[link]
}

// ReleasePort removes all sessions that have a rule on the port, whatever else of
// ours stands there, and then what PreparePort made. It goes on after errors.
func (e *Eswitch) ReleasePort(ctx context.Context, link int32) error {
	e.mu.Lock()
	delete(e.read, link)
	e.mu.Unlock()
	errs := e.Remove(ctx, e.using(link))
	return errors.Join(append(errs, e.clear(ctx, link), e.driver.Release(ctx, link))...)
}

// clear removes what is left at a port. Guards go last, and stay with what cannot be
// removed.
func (e *Eswitch) clear(ctx context.Context, link int32) error {
	unlock, err := e.quiet(ctx, link)
	if err != nil {
		return err
	}
	defer unlock()
	var rules, guards []Found
	err = e.driver.Rules(ctx, Scope{Link: link}, func(f *Found) {
		f.Rule.In = link
		if f.Session == 0 {
			guards = append(guards, *f)
		} else {
			rules = append(rules, *f)
		}
	})
	if _, errDelete := e.deleteAll(ctx, deletions(rules)); err != nil || errDelete != nil {
		return errors.Join(err, errDelete)
	}
	_, err = e.deleteAll(ctx, deletions(guards))
	return err
}

// quiet forgets the guards of a port and waits for the sessions that come in relying on
// them: each of these fails and takes its rules out again. It returns with the port's lock:
// until that is given back no guard comes in there, and so nothing that needs one.
func (e *Eswitch) quiet(ctx context.Context, link int32) (unlock func(), err error) {
	for {
		unlock = e.guarding.lock(link)
		wait := e.forgetAt(link)
		if len(wait) == 0 {
			return unlock, nil
		}
		unlock()
		for _, done := range wait {
			select {
			case <-done:
			case <-ctx.Done():
				return nil, fmt.Errorf("ifindex %d: waiting for installations: %w", link, ctx.Err())
			}
		}
	}
}

// forgetAt forgets the guards of a port, and returns what to wait for until nothing that
// is being installed relies on any that was forgotten there.
func (e *Eswitch) forgetAt(link int32) (wait []chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range e.guards {
		if g.ref.Link == link {
			e.forget(g)
		}
	}
	e.takeLeft(func(ref Ref, _ flows.Rule) bool { return ref.Link == link }) // goes with the rest
	for _, s := range e.sessions {
		bare := slices.ContainsFunc(s.guards, func(g *guard) bool { return g.gone && g.ref.Link == link })
		if s.state == installing && bare && !slices.Contains(wait, s.done) {
			wait = append(wait, s.done)
		}
	}
	return wait
}

func (e *Eswitch) using(link int32) (ids []flows.SessionID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, s := range e.sessions {
		for _, r := range s.rules {
			if r.ref.Link == link {
				ids = append(ids, id)
				break
			}
		}
	}
	return ids
}
