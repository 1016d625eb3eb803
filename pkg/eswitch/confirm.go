package eswitch

import (
	"context"
	"slices"
)

// confirm looks whether the guards are there that the sessions of a chunk rely on, whose
// rules are in by now, and forgets those that are not: that they were there once says
// little, for others may have deleted them, or the whole qdisc. On an error nothing is known.
func (e *Eswitch) confirm(ctx context.Context, todo []pending) error {
	guards := e.relying(todo)
	for range 2 { // a dump can skip what moves while it runs: look again before saying so
		if len(guards) == 0 {
			return nil
		}
		there, err := e.readGuards(ctx, guards)
		if err != nil {
			return err
		}
		guards = e.unconfirmed(guards, there)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range guards {
		if !g.gone {
			e.forget(g)
		}
	}
	return nil
}

// relying returns the guards on which rules rely that were sent.
func (e *Eswitch) relying(todo []pending) (guards []*guard) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range todo {
		for _, g := range p.session.guards {
			if p.result.Err == nil && g.in && !slices.Contains(guards, g) {
				guards = append(guards, g)
			}
		}
	}
	return guards
}

// readGuards reads where guards are, and whether hardware has them.
func (e *Eswitch) readGuards(ctx context.Context, guards []*guard) (there map[Ref]bool, err error) {
	there = make(map[Ref]bool)
	var read []slot
	for _, g := range guards { // the place of one on which a session relies does not change
		at := slot{g.ref.Link, g.ref.Class}
		if slices.Contains(read, at) {
			continue
		}
		read = append(read, at)
		err := e.driver.Rules(ctx, Scope{Link: at.link, Class: at.class}, func(f *Found) { there[f.Ref] = f.InHW })
		if err != nil {
			return nil, err
		}
	}
	return there, nil
}

func (e *Eswitch) unconfirmed(guards []*guard, there map[Ref]bool) []*guard {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(guards, func(g *guard) bool {
		inHW, ok := there[g.ref]
		if ok && g.inHW && !inHW {
			g.fell, ok = true, false
		}
		return ok
	})
}

// guarded reports whether every guard of a session was seen in a reading, or is
// younger. e.mu is held.
func (s *session) guarded(epoch uint32) bool {
	return !slices.ContainsFunc(s.guards, func(g *guard) bool { return g.unseen(epoch) })
}

// bare reports whether a guard of a session was forgotten. e.mu is held.
func (s *session) bare() bool {
	return slices.ContainsFunc(s.guards, func(g *guard) bool { return g.gone })
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
	switch g := e.guardAt[st.ref]; {
	case g == nil:
	case st.inHW || !g.inHW:
		g.read = epoch
	default:
		g.fell = true
	}
}
