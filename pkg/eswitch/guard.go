package eswitch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// guard is a rule of no session that leaves packets with too few hops left to the slow
// path, ahead of the rules that take hops off: a rule cannot match "more than". All
// rules for packets of one look at one port share it. It comes with the first of them
// and stays until the port is released or a Sweep finds that nobody needs it.
type guard struct {
	rule flows.Rule
	ref  Ref
	in   bool // it is there; changed only by who has Eswitch.guarding
	inHW bool
	gone bool  // forgotten with its port, or deleted: who relied on it must not go on
	err  error // why it is not in

	born, read uint32 // epochs: when it came in, when it was last seen
}

// GuardOf returns the guard that a rule needs, and whether it needs one. Of a guard's
// fields only these count: In, the types of the tags, the tunnel's own end of the
// underlay and its port, and the family of the tuple.
func GuardOf(r flows.Rule) (guard flows.Rule, needed bool) {
	if r.Change.IsZero() || r.Change.Value().Hops == 0 {
		return flows.Rule{}, false
	}
	guard = flows.Rule{In: r.In, Tuple: flows.Tuple{Src: netip.IPv4Unspecified(), Dst: netip.IPv4Unspecified()}}
	if r.Tuple.IsIPv6() {
		guard.Tuple = flows.Tuple{Src: netip.IPv6Unspecified(), Dst: netip.IPv6Unspecified()}
	}
	for i, tag := range r.Tags {
		guard.Tags[i].Type = tag.Type
	}
	if t := r.Tunnel.Value(); !r.Tunnel.IsZero() {
		guard.Tunnel = flows.RefTo(flows.Tunnel{Dst: t.Dst, Port: t.Port})
	}
	return guard, true
}

// guardsOf returns the guards that the rules of a session need, nil for none. e.mu is held.
func (e *Eswitch) guardsOf(rules []flows.Rule) (guards []*guard) {
	if e.cfg.NoGuards {
		return nil
	}
	for _, r := range rules {
		what, needed := GuardOf(r)
		if !needed {
			continue
		}
		g := e.guards[what]
		if g == nil {
			g = &guard{rule: what, ref: Ref{Link: r.In, Class: ClassOfGuard(what), Handle: e.newHandle() << 1}}
			e.guards[what], e.guardAt[g.ref] = g, g
		}
		if !slices.Contains(guards, g) {
			guards = append(guards, g)
		}
	}
	return guards
}

// raise puts the guards in place that the sessions of a chunk need. Sessions whose
// guard it cannot put there fail in additions.
func (e *Eswitch) raise(ctx context.Context, todo []pending) {
	if !slices.ContainsFunc(todo, func(p pending) bool { return p.session.guards != nil }) {
		return
	}
	e.guarding.Lock()
	defer e.guarding.Unlock()
	missing, changes := e.missing(todo)
	if len(missing) == 0 {
		return
	}
	e.driver.Apply(ctx, changes)
	for i, g := range missing {
		c := &changes[i]
		switch {
		case errors.Is(c.Err, ErrExists):
			e.inherit(ctx, c)
		case errors.Is(c.Err, ErrUnknown): // Sweep finds it if this does not help
			e.driver.Apply(ctx, []Change{{Op: Delete, Ref: c.Ref, Rule: c.Rule}})
		}
		e.raised(g, c)
	}
}

// missing returns the guards of sessions that are not in, and what adds them.
// e.guarding is held.
func (e *Eswitch) missing(todo []pending) (missing []*guard, changes []Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range todo {
		for _, g := range p.session.guards {
			if !g.in && !g.gone && !slices.Contains(missing, g) {
				missing = append(missing, g)
				changes = append(changes, Change{Op: Add, Ref: g.ref, Rule: g.rule, Hardware: true})
			}
		}
	}
	return missing, changes
}

// inherit takes over a guard that an earlier process left.
func (e *Eswitch) inherit(ctx context.Context, c *Change) {
	err := e.driver.Rules(ctx, Scope{Link: c.Ref.Link, Class: c.Ref.Class, Detail: true}, func(f *Found) {
		if f.Rule == c.Rule && f.Intact {
			c.Ref, c.InHW, c.Err = f.Ref, f.InHW, nil
			e.reserve(f.Ref.Handle)
		}
	})
	if err != nil {
		c.Err = err
	}
}

// raised takes the outcome.
func (e *Eswitch) raised(g *guard, c *Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if g.gone {
		return
	}
	if g.err = c.Err; g.err != nil {
		return
	}
	delete(e.guardAt, g.ref)
	g.ref, g.in, g.inHW, g.born = c.Ref, true, c.InHW, e.epoch
	e.guardAt[g.ref] = g
	e.occupyOne(g.ref, 1)
}

// forget makes what relies on a guard fail from now on. e.mu is held.
func (e *Eswitch) forget(g *guard) {
	if g.in {
		e.occupyOne(g.ref, -1)
	}
	g.in, g.gone = false, true
	delete(e.guards, g.rule)
	delete(e.guardAt, g.ref)
}

// unguarded says why a session may not have its rules, nil if every guard that it needs
// is in place. Added are the outcomes of adding the rules, nil before that. e.mu is held.
func (e *Eswitch) unguarded(id flows.SessionID, s *session, added []Change) error {
	for i, r := range s.rules {
		if s.guards == nil {
			return nil
		}
		what, needed := GuardOf(r.rule)
		if !needed {
			continue
		}
		g := s.guards[slices.IndexFunc(s.guards, func(g *guard) bool { return g.rule == what })]
		var err error
		switch {
		case g.err != nil:
			err = g.err
		case !g.in:
			err = ErrUnguarded
		case added != nil && added[i].InHW && !g.inHW:
			err = fmt.Errorf("%w: hardware has the rule only", ErrNotOffloaded)
		default:
			continue
		}
		return &RuleError{Session: id, Rule: r.rule, Op: Add, Err: fmt.Errorf("guard: %w", err)}
	}
	return nil
}

// guarded reports whether every guard of a session was seen in a reading, or is
// younger. e.mu is held.
func (s *session) guarded(epoch uint32) bool {
	return !slices.ContainsFunc(s.guards, func(g *guard) bool { return g.unseen(epoch) })
}

func (g *guard) unseen(epoch uint32) bool {
	return g.gone || g.in && g.born < epoch && g.read != epoch
}

// vanished returns the guards that a reading should have seen. e.mu is held.
func (e *Eswitch) vanished(epoch uint32) (guards []*guard) {
	for _, g := range e.guards {
		if g.unseen(epoch) {
			guards = append(guards, g)
		}
	}
	return guards
}

// sawGuard takes what a reading says of a guard. e.mu is held.
func (e *Eswitch) sawGuard(epoch uint32, st *stat) {
	if g := e.guardAt[st.ref]; g != nil && (st.inHW || !g.inHW) {
		g.read = epoch
	}
}

// forgetAt forgets the guards of a port: what is being installed there fails from now on.
func (e *Eswitch) forgetAt(link int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range e.guards {
		if g.ref.Link == link {
			e.forget(g)
		}
	}
}

// keepGuards takes over those guards of an earlier process that are intact.
func (e *Eswitch) keepGuards(found []Found) {
	e.guarding.Lock()
	defer e.guarding.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range found {
		if !f.Intact || e.guards[f.Rule] != nil || e.cfg.NoGuards {
			continue
		}
		g := &guard{rule: f.Rule, ref: f.Ref, in: true, inHW: f.InHW, born: e.epoch}
		e.guards[g.rule], e.guardAt[g.ref] = g, g
		e.occupyOne(g.ref, 1)
		e.reserve(g.ref.Handle)
	}
}

// covered reports whether all guards that rules need are in, and in hardware where the
// rules are. e.mu is held.
func (e *Eswitch) covered(found []Found) bool {
	for _, f := range found {
		what, needed := GuardOf(f.Rule)
		if !needed || e.cfg.NoGuards {
			continue
		}
		if g := e.guards[what]; g == nil || !g.in || f.InHW && !g.inHW {
			return false
		}
	}
	return true
}

// dropGuards removes those that were found and that no session needs, and forgets them.
func (e *Eswitch) dropGuards(ctx context.Context, found []Found) (n int, err error) {
	e.guarding.Lock()
	defer e.guarding.Unlock()
	return e.deleteAll(ctx, deletions(e.unneeded(found)))
}

func (e *Eswitch) unneeded(found []Found) (unneeded []Found) {
	e.mu.Lock()
	defer e.mu.Unlock()
	needed := make(map[*guard]bool)
	for _, s := range e.sessions {
		for _, g := range s.guards {
			needed[g] = true
		}
	}
	for _, f := range found {
		g := e.guardAt[f.Ref]
		if needed[g] {
			continue
		}
		if g != nil {
			e.forget(g)
		}
		unneeded = append(unneeded, f)
	}
	return unneeded
}
