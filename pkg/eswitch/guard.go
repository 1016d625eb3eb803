package eswitch

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// guard is a rule of no session that leaves packets with too few hops left to the slow
// path, ahead of the rules that take hops off: a rule cannot match "more than". All
// rules for packets of one look at one port share it. It comes with the first of them
// and stays until the port is released or for some time nobody has needed it.
//
// That it is there is looked at after each addition of rules that rely on it, and at
// each reading of counters: others may delete it, with all that stands at the port.
type guard struct {
	rule flows.Rule
	ref  Ref
	in   bool // it is there; set only by who has the lock of the port (Eswitch.guarding)
	inHW bool
	gone bool  // forgotten: who relied on it must not go on
	fell bool  // it was seen without hardware, where it had been
	soft bool  // a rule would have been in hardware but for it
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

// forget makes what relies on a guard fail from now on. e.mu is held.
func (e *Eswitch) forget(g *guard) {
	if g.in {
		e.occupyOne(g.ref, -1)
	}
	if g.fell {
		e.left[g.ref] = g.rule
	}
	g.in, g.gone = false, true
	delete(e.guards, g.rule)
	delete(e.guardAt, g.ref)
}

// unguarded says why a session may not have its rules, nil if every guard that it needs
// is in place. Added are the outcomes of adding the rules, nil before that. A guard that
// keeps rules out of hardware is marked for being put in anew. e.mu is held.
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
			g.soft = true
			err = fmt.Errorf("%w: hardware has the rule only", ErrNotOffloaded)
		default:
			continue
		}
		return &RuleError{Session: id, Rule: r.rule, Op: Add, Err: fmt.Errorf("guard: %w", err)}
	}
	return nil
}

// keepGuards takes over those guards of an earlier process that are intact.
func (e *Eswitch) keepGuards(found []Found) {
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
