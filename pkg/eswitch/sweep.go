package eswitch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// Audit returns every rule of ours on every port of the namespace, whoever
// installed it. It asks the eswitch only and needs no earlier state. On an error
// it returns what it could read.
func (e *Eswitch) Audit(ctx context.Context) ([]Found, error) {
	links, err := e.driver.Links(ctx)
	if err != nil {
		return nil, err
	}
	var found []Found
	var errs []error
	for _, link := range links {
		err := e.driver.Rules(ctx, Scope{Link: link, Detail: true}, func(f *Found) { found = append(found, *f) })
		if err != nil {
			errs = append(errs, fmt.Errorf("ifindex %d: %w", link, err))
		}
	}
	return found, errors.Join(errs...)
}

// Sweep makes the eswitch agree with what this Eswitch has installed: on every port
// of the namespace it removes each rule of ours that belongs to no session of it, or
// that stands twice, and each guard that no session needs. It returns the number of rules removed, and goes on after errors.
// Sessions on their way in or out are left alone.
func (e *Eswitch) Sweep(ctx context.Context) (removed int, err error) {
	found, err := e.Audit(ctx)
	removed, errSweep := e.sweep(ctx, bySession(found), nil)
	return removed, errors.Join(err, errSweep)
}

// Adopted is a session that an earlier process installed.
type Adopted struct {
	flows.Session
	Count [2]flows.Counters // by Dir, since then
	InHW  bool              // hardware has all rules
	// HidesBreak says that tunnels may have MayBreak although the rules say otherwise.
	HidesBreak bool
}

// Adopt takes over the complete sessions that an earlier process installed: from then
// on they can be removed and are counted. Every rule must be intact, none there twice,
// and each have its opposite; whatever else is ours is removed, as by Sweep. It goes
// on after errors, and returns what it took over.
func (e *Eswitch) Adopt(ctx context.Context) (adopted []Adopted, removed int, err error) {
	found, err := e.Audit(ctx)
	groups := bySession(found)
	e.keepGuards(groups[0])
	removed, errSweep := e.sweep(ctx, groups, complete)
	for id, rules := range groups {
		if e.owns(id) {
			adopted = append(adopted, adoptedOf(id, rules))
		}
	}
	slices.SortFunc(adopted, func(a, b Adopted) int { return cmp.Compare(a.ID, b.ID) })
	return adopted, removed, errors.Join(err, errSweep)
}

func adoptedOf(id flows.SessionID, rules []Found) Adopted {
	a := Adopted{Session: flows.Session{ID: id}, InHW: true}
	for _, f := range rules {
		a.Rules = append(a.Rules, f.Rule)
		a.InHW = a.InHW && f.InHW
		a.HidesBreak = a.HidesBreak || f.HidesBreak
		c := &a.Count[f.Rule.Dir]
		c.Packets += f.Count.Packets
		c.Bytes += f.Count.Bytes
	}
	slices.SortFunc(a.Rules, func(a, b flows.Rule) int { return cmp.Compare(a.Dir, b.Dir) })
	return a
}

func (e *Eswitch) owns(id flows.SessionID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sessions[id]
	return s != nil && s.state == installed
}

func bySession(found []Found) map[flows.SessionID][]Found {
	groups := make(map[flows.SessionID][]Found, len(found)/2)
	for _, f := range found {
		groups[f.Session] = append(groups[f.Session], f)
	}
	return groups
}

// sweep removes what belongs to no session that is known or, where adopt says so of
// all its rules, becomes one.
func (e *Eswitch) sweep(ctx context.Context, groups map[flows.SessionID][]Found, adopt func([]Found) bool) (removed int, err error) {
	var strays []Change
	var residues []flows.SessionID
	for id, rules := range groups {
		if id == 0 {
			continue // guards go last
		}
		drop, whole := e.judge(id, rules, adopt)
		strays = append(strays, drop...)
		if whole {
			residues = append(residues, id)
		}
	}
	removed, errStrays := e.deleteAll(ctx, strays)
	errs := e.Remove(ctx, residues)
	for i, id := range residues {
		if errs[i] == nil {
			removed += len(groups[id])
		}
	}
	err = errors.Join(append(errs, errStrays)...)
	if err != nil { // what is left may need its guards
		return removed, err
	}
	n, err := e.dropGuards(ctx, groups[0])
	return removed + n, err
}

// judge says which of a session's rules must go as strays, or that the whole
// session, which could not be removed before, must be.
func (e *Eswitch) judge(id flows.SessionID, found []Found, adopt func([]Found) bool) (strays []Change, whole bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sessions[id]
	switch {
	case s != nil && (s.state == installing || s.state == removing):
		return nil, false
	case s != nil && s.state == residue:
		return nil, true
	case s == nil && adopt != nil && adopt(found) && e.covered(found):
		e.adopt(id, found)
		return nil, false
	}
	for _, f := range found {
		if s == nil || s.find(f.Ref) < 0 {
			strays = append(strays, Change{Op: Delete, Ref: f.Ref, Session: id, Rule: f.Rule})
		}
	}
	return strays, false
}

// complete reports whether the rules make up a session: each intact and such as this version
// would install, none twice, those of
// one direction alike but for where packets come in (a bond has several such places), and
// the two directions the way back of each other.
func complete(found []Found) bool {
	if len(found) < 2 || len(found) > MaxRules {
		return false
	}
	var first [2]*flows.Rule
	for i := range found {
		r := &found[i].Rule
		if !found[i].Intact || checkRule(*r) != nil || slices.ContainsFunc(found[:i], func(f Found) bool { return f.Rule == *r }) {
			return false
		}
		if first[r.Dir] == nil {
			first[r.Dir] = r
		} else if !alike(*first[r.Dir], *r) {
			return false
		}
	}
	return first[0] != nil && first[1] != nil && opposite(*first[0], *first[1])
}

// alike reports whether two rules are of one direction of a session.
func alike(a, b flows.Rule) bool {
	b.In = a.In
	return a == b
}

// opposite reports whether b is the way back of a. The MAC addresses need not be: a
// router may be sent to at one and send from another. Nor need the devices: packets leave
// by a bond and come in at its members.
func opposite(a, b flows.Rule) bool {
	return addressed(a) == b.Tuple.Reverse() && addressed(b) == a.Tuple.Reverse()
}

// addressed returns the tuple by which packets leave.
func addressed(r flows.Rule) flows.Tuple {
	return flows.Path{Change: r.Change}.Addressed(r.Tuple)
}

// adopt takes a session over that an earlier process installed. e.mu is held.
func (e *Eswitch) adopt(id flows.SessionID, found []Found) {
	s := &session{state: installed, born: e.epoch, rules: make([]rule, len(found))}
	for i, f := range found {
		s.rules[i] = rule{f.Ref, f.Rule}
		e.reserve(f.Ref.Handle)
		s.hidesBreak = s.hidesBreak || f.HidesBreak
	}
	// In the order in which Install gets them, so that it recognizes them.
	slices.SortStableFunc(s.rules, func(a, b rule) int { return cmp.Compare(a.rule.Dir, b.rule.Dir) })
	rules := make([]flows.Rule, len(found))
	for i, f := range found {
		rules[i] = f.Rule
	}
	s.guards = e.guardsOf(rules)
	e.sessions[id] = s
	e.occupy(s, 1)
}

func deletions(found []Found) []Change {
	changes := make([]Change, len(found))
	for i, f := range found {
		changes[i] = Change{Op: Delete, Ref: f.Ref, Session: f.Session, Rule: f.Rule}
	}
	return changes
}

// deleteAll deletes rules and returns how many it did.
func (e *Eswitch) deleteAll(ctx context.Context, changes []Change) (n int, err error) {
	e.chunks(len(changes), func(from, to int) { e.driver.Apply(ctx, changes[from:to]) })
	var errs []error
	for _, c := range changes {
		if c.Err != nil {
			errs = append(errs, &RuleError{Session: c.Session, Rule: c.Rule, Op: Delete, Err: c.Err})
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}

// Flush removes every session and every rule of ours on every port of the
// namespace, and releases the ports. It needs no earlier state: it is also what
// clears up after a process that died. It returns the number of rules that it
// found and removed, and goes on after errors.
func (e *Eswitch) Flush(ctx context.Context) (n int, err error) {
	before, errAudit := e.Audit(ctx)
	errs := append(e.Remove(ctx, e.all()), errAudit)
	links, errLinks := e.driver.Links(ctx)
	errs = append(errs, errLinks)
	for _, link := range links {
		errs = append(errs, e.clear(ctx, link))
	}
	after, errAudit := e.Audit(ctx)
	for _, link := range links {
		errs = append(errs, e.driver.Release(ctx, link))
	}
	return len(before) - len(after), errors.Join(append(errs, errAudit)...)
}

func (e *Eswitch) all() []flows.SessionID {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]flows.SessionID, 0, len(e.sessions))
	for id := range e.sessions {
		ids = append(ids, id)
	}
	return ids
}
