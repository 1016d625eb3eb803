package eswitch

import (
	"context"
	"errors"
	"fmt"

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

// Sweep makes the eswitch agree with what is wanted: on every port of the
// namespace it removes each rule of ours whose session keep does not want, that
// belongs to no complete session, or that stands twice. It returns the number of
// rules removed, and goes on after errors.
//
// Sessions that keep wants and this Eswitch does not know are adopted: from then on
// they can be removed and are counted. They must be complete: every rule intact
// and its opposite there as well. A nil keep wants what this Eswitch has
// installed and nothing else. Sessions on their way in or out are left alone.
func (e *Eswitch) Sweep(ctx context.Context, keep func(flows.SessionID) bool) (removed int, err error) {
	found, err := e.Audit(ctx)
	groups := make(map[flows.SessionID][]Found)
	for _, f := range found {
		groups[f.Session] = append(groups[f.Session], f)
	}
	var strays []Change
	var unwanted []flows.SessionID // that this Eswitch knows
	for id, rules := range groups {
		wanted := keep != nil && keep(id)
		drop, whole := e.judge(id, rules, wanted, keep == nil)
		strays = append(strays, drop...)
		if whole {
			unwanted = append(unwanted, id)
		}
	}
	removed, errStrays := e.deleteAll(ctx, strays)
	errs := e.Remove(ctx, unwanted)
	for i, id := range unwanted {
		if errs[i] == nil {
			removed += len(groups[id])
		}
	}
	return removed, errors.Join(append(errs, err, errStrays)...)
}

// judge says which of a session's rules must go as strays, or that the whole
// session, which this Eswitch knows, must be removed.
func (e *Eswitch) judge(id flows.SessionID, found []Found, wanted, onlyKnown bool) (strays []Change, whole bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sessions[id]
	switch {
	case s != nil && (s.state == installing || s.state == removing):
		return nil, false
	case s != nil && (!wanted && !onlyKnown || s.state == residue):
		return nil, true
	case s == nil && wanted && complete(found):
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

// complete reports whether the rules make up a session: each intact, none twice,
// and each with the one for the way back.
func complete(found []Found) bool {
	if len(found) < 2 || len(found) > MaxRules {
		return false
	}
	for i, f := range found {
		back := 0
		for j, g := range found {
			if i != j && f.Rule == g.Rule {
				return false
			}
			if opposite(f.Rule, g.Rule) {
				back++
			}
		}
		if !f.Intact || back != 1 {
			return false
		}
	}
	return true
}

func opposite(a, b flows.Rule) bool {
	return a.Dir != b.Dir && a.In == b.Out && a.Out == b.In &&
		a.SrcMAC == b.DstMAC && a.DstMAC == b.SrcMAC && a.Tuple == b.Tuple.Reverse()
}

// adopt takes a session over that an earlier process installed. e.mu is held.
func (e *Eswitch) adopt(id flows.SessionID, found []Found) {
	s := &session{state: installed, born: e.epoch, rules: make([]rule, len(found))}
	for i, f := range found {
		s.rules[i] = rule{f.Ref, f.Rule}
	}
	// In the order in which Install gets them, so that it recognizes them.
	if s.rules[0].rule.Dir == flows.Reply && len(s.rules) == 2 {
		s.rules[0], s.rules[1] = s.rules[1], s.rules[0]
	}
	e.sessions[id] = s
	e.occupy(s, 1)
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
	found, errAudit := e.Audit(ctx)
	n = len(before) - len(found)
	changes := make([]Change, len(found))
	for i, f := range found {
		changes[i] = Change{Op: Delete, Ref: f.Ref, Session: f.Session, Rule: f.Rule}
	}
	m, errDelete := e.deleteAll(ctx, changes)
	links, errLinks := e.driver.Links(ctx)
	errs = append(errs, errAudit, errDelete, errLinks)
	for _, link := range links {
		errs = append(errs, e.driver.Release(ctx, link))
	}
	return n + m, errors.Join(errs...)
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
