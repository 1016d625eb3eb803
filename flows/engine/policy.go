package engine

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// Policies say what an operator wants to happen to connections, at one moment. They never
// change, and may be asked from any goroutine.
type Policies interface {
	// Decide says what is to happen to a connection, as far as that is certain.
	Decide(*flows.Subject) flows.Decision
	// Terms says what a policy asks of connections. It is asked only about those of Decide.
	Terms(flows.PolicyRef) flows.Terms
	// Describe names a policy for a person.
	Describe(flows.PolicyRef) string
}

// elephants are the policies where an operator has none of his own: there is one, by which
// each elephant is offloaded.
type elephants struct{ Elephant }

// Elephants returns the policies of an operator who has none: each elephant is offloaded.
func Elephants(e Elephant) Policies { return elephants{e} }

// Decide implements Policies.
func (elephants) Decide(*flows.Subject) flows.Decision {
	return flows.Decision{Policy: 1, Verdict: flows.Offload, Hope: 1}
}

// Terms implements Policies.
func (t elephants) Terms(flows.PolicyRef) flows.Terms {
	return flows.Terms{Bytes: t.Bytes, Rate: t.Rate, Age: t.Age}
}

// Describe implements Policies.
func (elephants) Describe(flows.PolicyRef) string { return "" }

// decided is what policies said about an entry, and when.
type decided struct {
	flows.Decision
	version uint32          // Engine.version then
	in      [2]flows.PortID // as entry.in then; zero: not known
	dscp    flows.DSCP      // as entry.dscp then
}

// decisionOf returns what policies say about an entry, by what is known without a look for its
// path: the ports and the code point of the last one, if it had one lately.
func (g *Engine) decisionOf(e *entry) *flows.Decision {
	var in [2]flows.PortID
	var dscp flows.DSCP
	if g.knowsHome(e) {
		in, dscp = e.in, e.dscp
	}
	if d := &e.decided; d.version != g.version || d.in != in || d.dscp != dscp {
		s := flows.Subject{Tuple: e.key.Tuple, Far: e.leaves(), In: in[flows.Orig], Out: in[flows.Reply], Placed: in[flows.Orig] != 0, DSCP: dscp}
		*d = decided{g.policies.Decide(&s), g.version, in, dscp}
	}
	return &e.decided.Decision
}

// subject returns what policies look at of a session that has a path.
func (s *session) subject() flows.Subject {
	p := &s.paths[flows.Orig]
	far := s.tuple
	if !p.Change.IsZero() { // most have none, and all sessions may be asked in one step
		far = p.Addressed(s.tuple)
	}
	return flows.Subject{Tuple: s.tuple, Far: far, In: p.In, Out: p.Out, Placed: true, DSCP: s.dscp}
}

// see takes the code point of packets that came in on the way to where its path is known.
func (s *session) see(d flows.DSCP) {
	s.dscp = d
	for _, e := range s.entries {
		e.dscp = d
	}
}

// unwanted says why policies leave an entry in the slow path, or "": then its path is to be
// found, and what they say of that counts. An entry whose mark asks for offload need not
// meet terms, one that was ordered only some: see unmet.
func (g *Engine) unwanted(e *entry, asked flows.Reason) (flows.Reason, string) {
	if g.policies == nil {
		return flows.PolicyUnknown, ""
	}
	d := g.decisionOf(e)
	placed := e.decided.in[flows.Orig] != 0
	reason, detail := g.declined(e, d, asked)
	switch {
	case reason == "" || placed:
		return reason, detail
	case d.Hope != 0:
		return g.unmet(e, d.Hope, asked)
	case asked != "" && d.Doubt != 0: // its path may tell
		return "", ""
	}
	return reason, detail
}

// guesses reports whether an entry is wanted only if its path leads by certain ports: by what
// else is known of it, it has to stay.
func (g *Engine) guesses(e *entry) bool {
	d := g.decisionOf(e)
	if e.asked || e.decided.in[flows.Orig] != 0 {
		return false
	}
	reason, _ := g.declined(e, d, "")
	return reason != ""
}

// declined says why an entry has to stay by a decision about it and the terms of the policy
// that was certain, or "".
func (g *Engine) declined(e *entry, d *flows.Decision, asked flows.Reason) (flows.Reason, string) {
	reason, detail := g.against(d, asked != "")
	if reason == "" {
		reason, detail = g.unmet(e, d.Policy, asked)
	}
	return reason, detail
}

// against says why a decision leaves a connection in the slow path, or "".
func (g *Engine) against(d *flows.Decision, asked bool) (flows.Reason, string) {
	switch {
	case d.Policy == 0 && !asked:
		return flows.PolicyNone, ""
	case d.Doubt != 0:
		return flows.PolicyInspect, "perhaps by " + g.policies.Describe(d.Doubt)
	case d.Policy == 0 || d.Verdict == flows.Offload:
		return "", ""
	case d.Verdict == flows.Drop:
		return flows.PolicyDrop, g.policies.Describe(d.Policy)
	}
	return flows.PolicyInspect, g.policies.Describe(d.Policy)
}

// unmet says which terms of a policy an entry does not meet, or "": one whose mark asks for
// offload need not meet any, one that an operator wants offloaded has to be inspected first.
// Whoever asks, what went into an inspector last has to have come out.
func (g *Engine) unmet(e *entry, policy flows.PolicyRef, asked flows.Reason) (flows.Reason, string) {
	if reason, detail := g.passing(e); reason != "" {
		return reason, detail
	}
	if policy == 0 && asked == "" || asked == flows.MarkOffload {
		return "", ""
	}
	t := flows.Terms{InspectPackets: flows.DefaultInspectPackets}
	if policy != 0 {
		t = g.policies.Terms(policy)
	}
	switch {
	case min(e.inspected(flows.Orig), e.inspected(flows.Reply)) < uint64(t.InspectPackets):
		return flows.Inspecting, ""
	case asked == "" && t.Elephants() && !e.isElephant(&t):
		return flows.Mouse, ""
	}
	far := g.otherSide(e)
	switch {
	case far == nil:
	case min(far.inspected(flows.Orig), far.inspected(flows.Reply)) < uint64(t.InspectPackets):
		return flows.Inspecting, inZone(far.key.Zone)
	case asked == "" && t.Elephants() && !far.isElephant(&t):
		return flows.Mouse, inZone(far.key.Zone)
	}
	return "", ""
}

// inspected returns how many packets of a direction the slow path has seen since the
// connection began, or was to be inspected again.
func (e *entry) inspected(d flows.Dir) uint64 {
	if e.inspectFrom == nil {
		return e.packets[d]
	}
	return e.packets[d] - e.inspectFrom[d]
}

// inspectAgain has the packets inspected that the slow path sees from now on.
func (e *entry) inspectAgain() {
	from := e.packets
	e.inspectFrom, e.unseenFrom = &from, 0
}

// reinspects reports whether who leaves for a cause is to be inspected before it returns.
func reinspects(cause flows.Reason) bool {
	switch cause {
	case flows.Reinspect, flows.OrderInspect, flows.PolicyInspect, flows.PolicyNone, flows.PolicyUnknown, flows.InspectorDown:
		return true
	}
	return false
}

// wanted returns why an entry whose verdict is offload got it.
func (g *Engine) wanted(e *entry) flows.Reason {
	if e.asked {
		if asked := g.whyAsked(e); asked != "" {
			return asked
		}
	}
	return g.reasonOf(e.decided.Hope)
}

// reasonOf returns why a policy offloads what meets its terms.
func (g *Engine) reasonOf(policy flows.PolicyRef) flows.Reason {
	if g.policies == nil || policy == 0 {
		return flows.Elephant
	}
	if t := g.policies.Terms(policy); !t.Elephants() {
		return flows.PolicyOffload
	}
	return flows.Elephant
}

// decide says why policies do not let a session be offloaded that has a path, or takes the
// policy that does.
func (g *Engine) decide(s *session) (flows.Reason, string) {
	if g.policies == nil {
		return flows.PolicyUnknown, ""
	}
	asked := s.asked()
	subject := s.subject()
	d := g.policies.Decide(&subject)
	if reason, detail := g.against(&d, asked); reason != "" {
		return reason, detail
	}
	if s.policy = d.Policy; !asked {
		s.reason = g.reasonOf(d.Policy)
	}
	return "", ""
}

// worthIt says why a session that has no rules yet does not meet the terms of its policy, or
// "": those by which its path was looked for may have been another one's.
func (g *Engine) worthIt(s *session) (flows.Reason, string) {
	asked := flows.Reason("")
	if s.asked() {
		asked = s.reason
	}
	return g.unmet(s.primary(), s.policy, asked)
}

// termsOf returns what the policy of a session asks of it.
func (g *Engine) termsOf(s *session) flows.Terms {
	if g.policies == nil || s.policy == 0 {
		return flows.Terms{}
	}
	return g.policies.Terms(s.policy)
}

// policiesChanged decides anew about the sessions that a change can concern. All others are
// decided about when their entries are read again.
func (g *Engine) policiesChanged(ev *PoliciesChanged) {
	concerns := ev.Concerns
	if g.policies == nil {
		concerns = nil
	}
	g.sieve.next.add(concerns)
	g.sieve.told++
	g.policies = ev.Policies
	g.version++
}

// decideAnew ends a session that policies do not want offloaded any more, and denies one that
// they drop, also if it is leaving already.
func (g *Engine) decideAnew(s *session) {
	if s.dead || s.state == Resolving {
		return
	}
	reason, detail := g.decide(s)
	switch {
	case reason == "":
		if s.state == Offloaded {
			for _, e := range s.entries {
				g.setReason(e, s.reason, e.detail)
			}
		}
	case s.state != Removing || reason == flows.PolicyDrop:
		s.primary().detail = detail
		g.remove(s, reason)
	}
}

// checkPolicies ends what stands on trust when no policy was told for too long.
func (g *Engine) checkPolicies() {
	if g.policies != nil || len(g.list) == 0 || g.now.Sub(1) < g.cfg.PermissionGrace {
		return
	}
	for _, s := range g.sessionsInOrder() {
		if s.state != Removing {
			g.remove(s, flows.PolicyUnknown)
		}
	}
}

// leaveRate returns the rate below which a session is no elephant any more: in the same
// relation to what its policy asks for as the configured ones.
func (g *Engine) leaveRate(s *session) float64 {
	t, own := g.cfg.Elephant, g.termsOf(s)
	if g.policies == nil || own.Rate == t.Rate || t.Rate == 0 {
		return t.LeaveRate
	}
	return own.Rate * t.LeaveRate / t.Rate
}

// PolicyCheck is the name of the check about what policies say.
const PolicyCheck = "policy"

// explainPolicy says what policies say about an entry, by its path where it has one.
func (g *Engine) explainPolicy(e *entry) Check {
	c := Check{Name: PolicyCheck}
	if g.policies == nil {
		c.Outcome, c.Reason = Unknown, flows.PolicyUnknown
		return c
	}
	d, s := *g.decisionOf(e), g.sessionOf(e)
	bound, dscp := s != nil && s.bound(), e.decided.dscp
	if bound {
		subject := s.subject()
		d, dscp = g.policies.Decide(&subject), s.dscp
	}
	c.Detail = withDSCP(g.policies.Describe(cmp.Or(d.Policy, d.Hope)), dscp)
	reason, detail := g.against(&d, e.asked && e.verdict == flows.Offload)
	if reason == "" {
		return c
	}
	c.Outcome, c.Reason, c.Detail = Failed, reason, withDSCP(detail, dscp)
	if d.Hope != 0 && !bound && e.decided.in[flows.Orig] == 0 {
		c.Outcome = Unknown
		c.Detail = "its ports and DSCP are to be found: perhaps by " + g.policies.Describe(d.Hope)
	}
	return c
}

// withDSCP adds to what is said of a decision by which code point it was made; without one
// nothing.
func withDSCP(detail string, d flows.DSCP) string {
	if d == 0 {
		return detail
	}
	return strings.TrimPrefix(fmt.Sprintf("%s, DSCP %d", detail, d-1), ", ")
}
