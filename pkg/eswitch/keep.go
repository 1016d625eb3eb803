package eswitch

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Keeper is a Driver whose rules end by themselves unless they are kept, so that those
// of a process that died do not stay.
type Keeper interface {
	// Keep lets rules live on that are there, and makes none. Of the changes it reads
	// Ref, Session and Rule; guards come before the rules that rely on them.
	Keep(ctx context.Context, rules []Change) error
	// KeepWithin is how long a rule lives without that.
	KeepWithin() time.Duration
}

// KeepWithin returns how often Keep must be called at the least, 0: never.
func (e *Eswitch) KeepWithin() time.Duration {
	if k, ok := e.driver.(Keeper); ok {
		return k.KeepWithin()
	}
	return 0
}

// Keep lets the rules of all installed sessions, and guards before them, live on, where
// the driver's rules end by themselves. It goes on after errors.
func (e *Eswitch) Keep(ctx context.Context) error {
	k, ok := e.driver.(Keeper)
	if !ok {
		return nil
	}
	rules := e.standing()
	var errs []error
	for chunk := range slices.Chunk(rules, 4*e.cfg.Chunk) {
		errs = append(errs, k.Keep(ctx, chunk))
	}
	return errors.Join(errs...)
}

func (e *Eswitch) standing() (rules []Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range e.guards {
		if g.in {
			rules = append(rules, Change{Ref: g.ref, Rule: g.rule})
		}
	}
	for id, s := range e.sessions {
		if s.state != installed {
			continue
		}
		for _, r := range s.rules {
			rules = append(rules, Change{Ref: r.ref, Session: id, Rule: r.rule})
		}
	}
	return rules
}
