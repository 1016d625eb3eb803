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
	return e.driver.Rules(ctx, Scope{Link: link}, func(f *Found) { e.reserve(f.Ref.Handle) })
}

// ReleasePort removes all sessions that have a rule on the port, whatever else of
// ours stands there, and then what PreparePort made. It goes on after errors.
func (e *Eswitch) ReleasePort(ctx context.Context, link int32) error {
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
