package engine

import "github.com/flowshunt/flowshunt/flows"

// sieve looks for the sessions that changes of policies can concern. It may be any, and
// there may be half a million: each step looks at a portion, from the end of Engine.list to
// its beginning. A session that leaves has its place taken by the last one (Engine.drop),
// which was looked at before, or is looked at twice. All that is decided meanwhile is decided
// by the new policies. Changes that come during a pass are for the next one, so that each
// pass ends.
type sieve struct {
	pass, next changes
	left       int // the sessions before this place are to be looked at
	portion    int // in a step

	told, taken, done uint64 // PoliciesChanged there were, were in a pass that began, that ended
}

// sievePortion is how many sessions a step looks at: at 0.2 us each.
const sievePortion = 1 << 15

// changes are those of policies that are looked for together. What a change can concern is
// known of sessions that are as the one before says: where none of those before it concerns a
// session, that is so, and where one does, the session is decided about by the last one.
type changes struct {
	any, all bool
	list     []func(flows.PolicyRef, *flows.Subject) bool // unless all
}

// maxChanges bounds what is held of changes that come faster than passes end: with more, all
// sessions are decided about.
const maxChanges = 8

// add takes another one; nil concerns all.
func (c *changes) add(concerns func(flows.PolicyRef, *flows.Subject) bool) {
	if c.any = true; c.all || concerns == nil || len(c.list) == maxChanges {
		c.all, c.list = true, nil
		return
	}
	c.list = append(c.list, concerns)
}

func (c *changes) concern(policy flows.PolicyRef, s *flows.Subject) bool {
	for _, concerns := range c.list {
		if concerns(policy, s) {
			return true
		}
	}
	return c.all
}

// Unfinished reports whether the last step has left work that the next one shall go on with
// at once: until then not all sessions are as the last PoliciesChanged says. Step is to be
// called again without waiting.
func (g *Engine) Unfinished() bool { return g.sieve.left > 0 || g.sieve.next.any }

// PoliciesTold returns how many PoliciesChanged there were, and how many of them, the first
// ones, all sessions are as. Those come to be so, too, while more are told all the time.
func (g *Engine) PoliciesTold() (told, done uint64) { return g.sieve.told, g.sieve.done }

// sift looks at the next portion of sessions, and then decides about those that are concerned:
// that may take others away.
func (g *Engine) sift() {
	v := &g.sieve
	if v.left == 0 && v.next.any {
		v.pass, v.next, v.left = v.next, changes{}, len(g.list)
		v.taken = v.told
	}
	to := min(v.left, len(g.list))
	from := max(to-v.portion, 0)
	var list []*session
	for _, s := range g.list[from:to] {
		if s.state == Resolving { // its path will be held against what is in force then
			continue
		}
		subject := s.subject()
		if v.pass.concern(s.policy, &subject) {
			list = append(list, s)
		}
	}
	if v.left = from; v.left == 0 {
		v.pass, v.done = changes{}, v.taken // and the tables that it holds
	}
	for _, s := range list {
		g.decideAnew(s)
	}
}

// unsifted reports whether a session may not be as the last change of policies says.
func (g *Engine) unsifted(s *session) bool {
	return (s.index < g.sieve.left || g.sieve.next.any) && s.state != Resolving
}

// agreed reports whether policies let a session be installed that may not have been
// looked at yet, and ends it if they do not.
func (g *Engine) agreed(s *session) bool {
	if g.unsifted(s) {
		g.decideAnew(s)
	}
	return !s.dead && s.state != Removing
}

// lastWord returns why a session leaves: one that policies drop is denied although it was not
// looked at yet, and leaves for another reason.
func (g *Engine) lastWord(s *session, cause flows.Reason) flows.Reason {
	if isDenial(cause) || !g.unsifted(s) || !s.state.hasRules() {
		return cause
	}
	if reason, detail := g.decide(s); reason == flows.PolicyDrop {
		s.primary().detail = detail
		return reason
	}
	return cause
}
