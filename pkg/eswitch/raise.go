package eswitch

import (
	"context"
	"errors"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// raise puts the guards in place that the sessions of a chunk need. Sessions whose
// guard it cannot put there fail in additions. A port whose driver hangs keeps only those
// waiting that need a new guard there.
func (e *Eswitch) raise(ctx context.Context, todo []pending) {
	for _, link := range e.unraised(todo) {
		e.raiseAt(ctx, link, todo)
	}
}

// unraised returns the ports at which guards of sessions are to be put in.
func (e *Eswitch) unraised(todo []pending) (links []int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range todo {
		for _, g := range p.session.guards {
			if !g.gone && (!g.in || g.soft) && !slices.Contains(links, g.ref.Link) {
				links = append(links, g.ref.Link)
			}
		}
	}
	return links
}

func (e *Eswitch) raiseAt(ctx context.Context, link int32, todo []pending) {
	defer e.guarding.lock(link)()
	missing, old := e.missing(link, todo)
	if len(missing) == 0 {
		return
	}
	e.discard(ctx, old)
	changes := make([]Change, len(missing))
	for i, g := range missing {
		changes[i] = Change{Op: Add, Ref: g.ref, Rule: g.rule, Hardware: true}
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

// missing returns the guards of sessions that are to be put in at a port, and what must go
// before. One that hardware does not have goes only if no other session relies on it. The
// port's lock is held.
func (e *Eswitch) missing(link int32, todo []pending) (missing []*guard, old []Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range todo {
		for _, g := range p.session.guards {
			if g.ref.Link != link || g.gone || g.in && !g.soft || slices.Contains(missing, g) {
				continue
			}
			free := (g.in || len(e.left) > 0) && !e.relied(g.rule, todo)
			if g.in && !free {
				continue
			}
			if g.in {
				e.lower(g)
			}
			if free {
				old = append(old, e.takeLeft(func(ref Ref, rule flows.Rule) bool { return rule == g.rule })...)
			}
			missing = append(missing, g)
		}
	}
	return missing, old
}

// lower makes a guard one that is to be put in anew. e.mu is held.
func (e *Eswitch) lower(g *guard) {
	e.occupyOne(g.ref, -1)
	delete(e.guardAt, g.ref)
	e.left[g.ref] = g.rule
	g.ref.Handle = e.newHandle() << 1
	g.in, g.soft, g.fell = false, false, false
	e.guardAt[g.ref] = g
}

// relied reports whether rules of sessions other than these may stand that need a guard.
// e.mu is held.
func (e *Eswitch) relied(what flows.Rule, but []pending) bool {
	for id, s := range e.sessions {
		if s.state == installing && !s.sent {
			continue
		}
		needs := slices.ContainsFunc(s.guards, func(g *guard) bool { return g.rule == what })
		if needs && !slices.ContainsFunc(but, func(p pending) bool { return p.id == id }) {
			return true
		}
	}
	return false
}

// inherit takes over a guard that stands already: of an earlier process, or one that had
// to be forgotten while sessions rely on it.
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
	if g.err = c.Err; g.err != nil {
		return
	}
	if g.gone {
		e.left[c.Ref] = g.rule
		return
	}
	delete(e.guardAt, g.ref)
	g.ref, g.in, g.inHW, g.born = c.Ref, true, c.InHW, e.epoch
	e.guardAt[g.ref] = g
	delete(e.left, g.ref)
	e.occupyOne(g.ref, 1)
}
