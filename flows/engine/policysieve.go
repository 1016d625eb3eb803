package engine

import "github.com/flowshunt/flowshunt/flows"

// sieve looks for the sessions that a change of policies can concern. It may be any, and
// there may be half a million: each step looks at a portion, from the end of Engine.list to
// its beginning. A session that leaves has its place taken by the last one (Engine.drop),
// which was looked at before, or is looked at twice. All that is decided meanwhile is decided
// by the new policies.
type sieve struct {
	concerns func(flows.PolicyRef, *flows.Subject) bool // nil: all
	left     int                                        // the sessions before this place are to be looked at
	portion  int                                        // in a step
}

// sievePortion is how many sessions a step looks at: at 0.2 us each.
const sievePortion = 1 << 15

// Unfinished reports whether the last step has left work that the next one shall go on with
// at once: until then not all sessions are as the last PoliciesChanged says. Step is to be
// called again without waiting.
func (g *Engine) Unfinished() bool { return g.sieve.left > 0 }

// sift looks at the next portion of sessions, and then decides about those that are concerned:
// that may take others away.
func (g *Engine) sift(portion int) {
	v := &g.sieve
	to := min(v.left, len(g.list))
	from := max(to-portion, 0)
	var list []*session
	for _, s := range g.list[from:to] {
		if s.state == Resolving { // its path will be held against what is in force then
			continue
		}
		subject := s.subject()
		if v.concerns == nil || v.concerns(s.policy, &subject) {
			list = append(list, s)
		}
	}
	if v.left = from; v.left == 0 {
		v.concerns = nil // and the tables that it holds
	}
	for _, s := range list {
		g.decideAnew(s)
	}
}

// siftAll looks at all that are left: what the next change can concern is only known of
// sessions that are as the one before says.
func (g *Engine) siftAll() {
	g.sift(g.sieve.left)
}

// unsifted reports whether a session may not be as the last change of policies says.
func (g *Engine) unsifted(s *session) bool {
	return s.index < g.sieve.left && s.state != Resolving
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
