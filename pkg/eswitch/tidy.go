package eswitch

import (
	"context"
	"errors"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// tidyEvery is how many readings of counters pass between two looks for guards that
// nobody needs.
const tidyEvery = 32

// tidy removes the guards that nobody needs any more, now and then, and those that were
// forgotten as soon as nobody relies on them. What it cannot remove it tries again.
func (e *Eswitch) tidy(ctx context.Context, epoch uint32) {
	all := epoch%tidyEvery == 0
	for _, link := range e.untidy(all) {
		e.tidyAt(ctx, link, all)
	}
}

// untidy returns the ports where something is to be removed.
func (e *Eswitch) untidy(all bool) (links []int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.left) == 0 && !all {
		return nil
	}
	needed := e.needed()
	note := func(ref Ref, rule flows.Rule) {
		if !needed[rule] && !slices.Contains(links, ref.Link) {
			links = append(links, ref.Link)
		}
	}
	for ref, rule := range e.left {
		note(ref, rule)
	}
	for _, g := range e.guards {
		if all {
			note(g.ref, g.rule)
		}
	}
	return links
}

func (e *Eswitch) tidyAt(ctx context.Context, link int32, all bool) {
	defer e.guarding.lock(link)()
	e.discard(ctx, e.spare(link, all))
}

// spare forgets the guards of a port that nobody needs and returns what deletes them. The
// port's lock is held: until they are gone nobody puts them in again.
func (e *Eswitch) spare(link int32, all bool) []Change {
	e.mu.Lock()
	defer e.mu.Unlock()
	needed := e.needed()
	for _, g := range e.guards {
		if all && g.ref.Link == link && !needed[g.rule] {
			g.fell = g.in // so that it is left
			e.forget(g)
		}
	}
	return e.takeLeft(func(ref Ref, rule flows.Rule) bool { return ref.Link == link && !needed[rule] })
}

// needed returns the guards that sessions need, also those on their way in or out. e.mu is
// held.
func (e *Eswitch) needed() map[flows.Rule]bool {
	needed := make(map[flows.Rule]bool)
	for _, s := range e.sessions {
		for _, g := range s.guards {
			needed[g.rule] = true
		}
	}
	return needed
}

// takeLeft returns what deletes forgotten guards. e.mu is held.
func (e *Eswitch) takeLeft(which func(Ref, flows.Rule) bool) (changes []Change) {
	for ref, rule := range e.left {
		if which(ref, rule) {
			changes = append(changes, Change{Op: Delete, Ref: ref, Rule: rule})
			delete(e.left, ref)
		}
	}
	return changes
}

// discard deletes forgotten guards, and keeps in mind those that it cannot delete.
func (e *Eswitch) discard(ctx context.Context, old []Change) {
	if len(old) == 0 {
		return
	}
	e.driver.Apply(ctx, old)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range old {
		if c.Err != nil {
			e.left[c.Ref] = c.Rule
		}
	}
}

// dropGuards removes those that were found and that no session needs, and forgets them.
func (e *Eswitch) dropGuards(ctx context.Context, found []Found) (n int, err error) {
	byLink := make(map[int32][]Found)
	for _, f := range found {
		byLink[f.Ref.Link] = append(byLink[f.Ref.Link], f)
	}
	var errs []error
	for link, found := range byLink {
		dropped, err := e.dropGuardsAt(ctx, link, found)
		n, errs = n+dropped, append(errs, err)
	}
	return n, errors.Join(errs...)
}

func (e *Eswitch) dropGuardsAt(ctx context.Context, link int32, found []Found) (n int, err error) {
	defer e.guarding.lock(link)()
	return e.deleteAll(ctx, deletions(e.unneeded(found)))
}

func (e *Eswitch) unneeded(found []Found) (unneeded []Found) {
	e.mu.Lock()
	defer e.mu.Unlock()
	needed := e.needed()
	for _, f := range found {
		g := e.guardAt[f.Ref]
		rule, left := e.left[f.Ref]
		if g != nil && needed[g.rule] || left && needed[rule] {
			continue
		}
		if g != nil {
			e.forget(g)
		}
		delete(e.left, f.Ref)
		unneeded = append(unneeded, f)
	}
	return unneeded
}
