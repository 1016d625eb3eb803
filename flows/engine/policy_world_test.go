package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// simPolicy is a policy of the simulation, for a share of the connections that come in, or
// go out, at a port.
type simPolicy struct {
	ref     flows.PolicyRef
	port    flows.PortID // at either end; 0: any
	share   uint16       // of either name; shares: any
	content bool         // matches only what nobody can know
	dscp    flows.DSCP   // 0: any
	verdict flows.Verdict
	terms   flows.Terms
}

// simPolicies are all of them, first match. They never change.
type simPolicies []simPolicy

// matches says whether a policy matches, and whether it may if what is not known yet is so.
func (p *simPolicy) matches(s *flows.Subject) (certain, byPort, may bool) {
	if p.share != shares && s.Tuple.SrcPort%shares != p.share && s.Far.SrcPort%shares != p.share {
		return false, false, false
	}
	if s.Placed && p.port != 0 && p.port != s.In && p.port != s.Out {
		return false, false, false
	}
	if s.DSCP != 0 && p.dscp != 0 && s.DSCP != p.dscp {
		return false, false, false
	}
	unseen := p.port != 0 && !s.Placed || p.dscp != 0 && s.DSCP == 0
	return !unseen && !p.content, !p.content, true
}

func (list simPolicies) Decide(s *flows.Subject) (d flows.Decision) {
	var may []simPolicy
	for _, p := range list {
		certain, byPort, possible := p.matches(s)
		if byPort && d.Hope == 0 && p.verdict == flows.Offload {
			d.Hope = p.ref
		}
		if certain {
			d.Policy, d.Verdict = p.ref, p.verdict
			break
		}
		if possible {
			may = append(may, p)
		}
	}
	matters := func(p simPolicy) bool {
		switch {
		case d.Policy == 0 || d.Verdict == flows.Offload:
			return p.verdict != flows.Offload
		case d.Verdict == flows.Drop:
			return p.verdict != flows.Drop
		}
		return false
	}
	if i := slices.IndexFunc(may, matters); i >= 0 {
		d.Doubt = may[i].ref
	}
	return d
}

func (list simPolicies) find(ref flows.PolicyRef) *simPolicy {
	i := slices.IndexFunc(list, func(p simPolicy) bool { return p.ref == ref })
	if i < 0 {
		return nil
	}
	return &list[i]
}

func (list simPolicies) Terms(ref flows.PolicyRef) flows.Terms {
	if p := list.find(ref); p != nil {
		return p.terms
	}
	return flows.Terms{}
}

func (list simPolicies) Describe(ref flows.PolicyRef) string { return fmt.Sprint("policy ", ref) }

// concerns is what changes from a list to the next, for those decided about by the former.
func (list simPolicies) concerns(next simPolicies) func(flows.PolicyRef, *flows.Subject) bool {
	return func(_ flows.PolicyRef, s *flows.Subject) bool {
		a, b := list.Decide(s), next.Decide(s)
		return a != b || list.Terms(a.Policy) != next.Terms(b.Policy)
	}
}

// tellPolicies tells a new agent, which knows none, at once or later.
func (w *world) tellPolicies() {
	w.policiesAt = w.now
	if w.agents > 0 && !w.quiet && w.chance(0.3) {
		w.policiesAt = w.now.Add(time.Duration(w.rng.Int64N(int64(3 * w.cfg.PermissionGrace / 2))))
	}
	w.policiesTold = false
	w.speakPolicies() // before it reads anything
}

// speakPolicies tells them when it is time.
func (w *world) speakPolicies() {
	if !w.policiesTold && w.now >= w.policiesAt {
		w.policiesTold = true
		w.events = append(w.events, PoliciesChanged{Policies: w.policies})
	}
}

// elephantsOnly is what an operator begins with, and comes back to.
func (w *world) elephantsOnly() simPolicies {
	w.lastPolicy++
	t := w.cfg.Elephant
	return simPolicies{{ref: w.lastPolicy, share: shares, verdict: flows.Offload,
		terms: flows.Terms{Bytes: t.Bytes, Rate: t.Rate, InspectPackets: 10}}}
}

// changePolicies lets an operator put a policy before all others that concerns a
// connection, or take one of them away.
func (w *world) changePolicies(c *conn) {
	before := w.policies
	switch w.rng.IntN(4) {
	case 0:
		w.policies = w.elephantsOnly()
	case 1:
		i := w.rng.IntN(len(before))
		if w.policies = slices.Delete(slices.Clone(before), i, i+1); len(w.policies) == 0 {
			w.policies = w.elephantsOnly()
		}
	default:
		w.lastPolicy++
		p := simPolicy{ref: w.lastPolicy, share: c.tuple.SrcPort % shares, verdict: flows.Verdict(w.rng.IntN(3)), content: w.chance(0.2)}
		if c.tuple.DstPort%3 == 0 {
			p.dscp = c.dscp(w)
		}
		if w.chance(0.7) {
			p.port = c.ports[w.rng.IntN(2)]
		}
		if w.chance(0.5) {
			p.terms = flows.Terms{Rate: 30_000, MaxLifetime: 10 * time.Second}
		}
		p.terms.InspectPackets = uint32(w.rng.IntN(100))
		if w.chance(0.5) {
			p.terms.Reinspect = 5 * time.Second
		}
		w.policies = append(simPolicies{p}, before[:min(len(before), 4)]...)
	}
	if w.policiesTold {
		w.events = append(w.events, PoliciesChanged{Policies: w.policies, Concerns: before.concerns(w.policies)})
	}
}

// dscp is that of a connection's packets: some of which change it.
func (c *conn) dscp(w *world) flows.DSCP {
	d := flows.DSCP(1 + c.tuple.SrcPort%2)
	if c.tuple.SrcPort%5 == 0 {
		d += flows.DSCP(w.now / flows.Instant(10*time.Second) % 2)
	}
	return d
}

// sees is what is known of it by those who find its path.
func (c *conn) sees(w *world) flows.DSCP {
	if c.tuple.SrcPort%7 == 0 {
		return 0
	}
	return c.dscp(w)
}

// deliverPolicies notes what the engine is about to be told, and what that denies for ever.
func (l *ledger) deliverPolicies(w *world, ev PoliciesChanged) {
	l.policies = ev.Policies.(simPolicies)
	l.toSift, l.sifting, l.dropped = len(w.engine.list), 0, nil
	for _, s := range w.engine.sessions {
		subject := l.subjects[s.id]
		if !s.state.hasRules() || s.state == Removing || l.left[s.id] {
			continue
		}
		if d := l.policies.Decide(&subject); d.Doubt == 0 && d.Verdict == flows.Drop {
			l.dropped = append(l.dropped, w.engine.keysOf(s)...)
		}
	}
}

// slowSieve has a world's engine look at few sessions in a step when policies change.
func (w *world) slowSieve() {
	if w.portion > 0 {
		w.engine.sieve.portion = w.portion
	}
}

// checkPolicies is the part of promise 1 that is about policies: it holds at once, but for
// those sessions that the steps which it takes have not come to.
func (l *ledger) checkPolicies(w *world) {
	if !w.engine.Unfinished() { // else it may be taken back before it comes to that
		for _, key := range l.dropped {
			l.denied[key] = true
		}
		l.dropped = nil
	}
	if l.sifting == 0 { // more may have come in the step that was told
		l.toSift = max(l.toSift, len(w.engine.list))
	}
	if l.sifting++; w.engine.Unfinished() && l.sifting > 2*(l.toSift/w.engine.sieve.portion+1) {
		l.fail(3, "%d sessions are to be looked at %d steps after policies changed, at %d a step", w.engine.sieve.left, l.sifting, w.engine.sieve.portion)
	}
	for _, s := range w.engine.sessions {
		if !s.bound() {
			continue
		}
		if l.policies == nil {
			if s.state.hasRules() && w.now.Sub(w.tellAt) > w.cfg.PermissionGrace+time.Second && s.state != Adopting {
				l.fail(1, "session %v is %s, and nobody has told any policy", s.id, s.state)
			}
			continue
		}
		if w.engine.unsifted(s) {
			continue
		}
		subject := l.subjects[s.id]
		d := l.policies.Decide(&subject)
		asked := l.asked(w, s) && d.Policy == 0
		if d.Doubt != 0 || d.Verdict != flows.Offload && !asked {
			l.fail(1, "session %v is %s, and policies say %+v", s.id, s.state, d)
		}
		if limit := l.policies.Terms(d.Policy).MaxLifetime; limit > 0 && s.state == Offloaded && w.now.Sub(s.installedAt) > limit+w.reaction() {
			l.fail(1, "session %v is offloaded for %v, may be for %v", s.id, w.now.Sub(s.installedAt), limit)
		}
	}
}

// orderedPolicies checks an installation.
func (l *ledger) orderedPolicies(w *world, e Install) {
	if l.policies == nil {
		l.fail(1, "%v is installed before any policy was told", e.Tuples[0])
		return
	}
	s := w.engine.sessions[e.Session]
	subject := subjectOf(e.Tuples, e.Paths, l.subjects[e.Session].DSCP)
	d := l.policies.Decide(&subject)
	if d.Doubt != 0 || d.Verdict != flows.Offload && !(l.asked(w, s) && d.Policy == 0) {
		l.fail(1, "%v is installed, and policies say %+v", e.Tuples[0], d)
	}
	if l.marked(w, s) || l.kinder(w, s) {
		return
	}
	want := uint64(flows.DefaultInspectPackets)
	if d.Policy != 0 {
		want = uint64(l.policies.Terms(d.Policy).InspectPackets)
	}
	for _, n := range l.inspected(w, s) {
		if n < want {
			l.fail(1, "%v is installed after %d packets, policy %d wants %d", e.Tuples[0], n, d.Policy, want)
		}
	}
}

// kinder reports whether policies have changed since the terms of a session were looked at.
func (l *ledger) kinder(w *world, s *session) bool { return w.now.Sub(l.policiesAt) < 20*slowest }

// inspected returns how many packets of each direction the slow path has seen since the
// session before was taken out to be inspected, as far as the engine was told.
func (l *ledger) inspected(_ *world, s *session) [2]uint64 {
	key := s.primary().key
	n, from := l.packets[key], l.inspectFrom[key]
	return [2]uint64{n[0] - from[0], n[1] - from[1]}
}

// removingForInspection remembers what had been inspected when a session was to be again. It
// counts from when its rules are gone; until then the slow path sees little.
func (l *ledger) removingForInspection(w *world, e Remove) {
	s := w.engine.sessions[e.Session]
	if s.nominal || s.installedAt == 0 {
		return
	}
	switch e.Cause {
	case flows.Reinspect, flows.InspectorDown, flows.OrderInspect, flows.PolicyInspect, flows.PolicyNone, flows.PolicyUnknown:
		for _, key := range s.keys() {
			l.inspectFrom[key] = l.packets[key]
		}
	}
}

// subjectOf returns what policies look at of rules.
func subjectOf(tuples [2]flows.Tuple, paths flows.Paths, d flows.DSCP) flows.Subject {
	p := &paths[flows.Orig]
	return flows.Subject{Tuple: tuples[flows.Orig], Far: tuples[flows.Reply].Reverse(), In: p.In, Out: p.Out, Placed: true, DSCP: d}
}

// deliverPath notes by which path a session is to be judged.
func (l *ledger) deliverPath(w *world, ev PathResolved) {
	if ev.Reason == "" && w.engine.awaited(ev.Session, ev.Op, Resolving) != nil {
		l.subjects[ev.Session] = subjectOf(ev.Tuples, ev.Paths, ev.DSCP)
	}
}

func (l *ledger) deliverFound(ev RulesFound) {
	for i := range ev.Sessions {
		f := &ev.Sessions[i]
		l.subjects[f.ID] = subjectOf(f.Tuples, f.Paths, 0)
	}
}

// marked reports whether the mark of a connection asks for offload, as far as was told.
func (l *ledger) marked(w *world, s *session) bool {
	return slices.ContainsFunc(w.keysOf(s), func(key flows.EntryKey) bool { return w.cfg.Mark.Offload.Matches(l.marks[key].Mark) })
}

// asked reports whether anybody has asked for a connection by name.
func (l *ledger) asked(w *world, s *session) bool {
	if s.nominal { // which one it is of is not known yet
		return s.asked()
	}
	return l.marked(w, s) || l.wished[w.connOf[s.primary().key]]
}
