package eswitch

import (
	"context"
	"errors"

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
	var left []Change
	err := e.driver.Rules(ctx, Scope{Link: link}, func(f *Found) {
		left = append(left, Change{Op: Delete, Ref: f.Ref, Session: f.Session, Rule: flows.Rule{In: link}})
	})
	_, errDelete := e.deleteAll(ctx, left)
	return errors.Join(append(errs, err, errDelete, e.driver.Release(ctx, link))...)
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
