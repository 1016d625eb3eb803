package engine

import (
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// Policy says what the security groups of logical ports permit, as one source knows it at
// one moment. It never changes, and may be asked from any goroutine.
type Policy interface {
	// Judge says whether the first packet of a connection may pass a port.
	Judge(port flows.LogicalPort, d flows.Direction, original flows.Tuple) flows.Permission
	// Describe names a rule for a person.
	Describe(flows.RuleRef) string
	// Detail says for a person why nothing is permitted on a port, where that is so.
	Detail(flows.LogicalPort) string
}

// policySource is what one source has told. All of them must permit a connection.
type policySource struct {
	policy   Policy        // nil: nothing yet
	stale    flows.Instant // since when it may be behind; 0: it is not
	why      string        // it is
	lapsed   bool          // for longer than Config.PolicyGrace
	label    bool          // as PolicyChanged.Label
	enforced uint64        // as PolicyEnforced.Revision
}

func newSources(n int, now flows.Instant) []policySource {
	list := make([]policySource, n)
	for i := range list {
		list[i] = policySource{stale: now, why: "nothing was told yet"}
	}
	return list
}

// policyChanged judges again what a change can concern, and nothing else.
func (g *Engine) policyChanged(ev *PolicyChanged) {
	src := &g.policies[ev.Source]
	before := src.policy
	*src = policySource{policy: ev.Policy, label: ev.Label, enforced: src.enforced}
	g.revision++
	if before == nil { // what stands on trust was judged by nobody
		ev.All = true
	}
	g.rejudge(g.concerned(ev), revocation{before: before, source: ev.Source, revision: ev.Revision})
}

// concerned returns the sessions that a change names.
func (g *Engine) concerned(ev *PolicyChanged) []*session {
	if ev.All {
		return slices.Clone(g.list)
	}
	var list []*session
	for _, port := range ev.Ports {
		for _, id := range g.logical[port] {
			list = append(list, g.onPort[id]...)
		}
	}
	for _, rule := range ev.Rules {
		list = g.byRule.appendTo(list, ruleKey{ev.Source, rule})
	}
	for _, addr := range ev.Addrs {
		list = g.byAddr.appendTo(list, addr)
	}
	return list
}

// policyStale lets nothing new be offloaded; what is there may stay for a while.
func (g *Engine) policyStale(ev PolicyStale) {
	src := &g.policies[ev.Source]
	if src.why = ev.Why; src.stale == 0 {
		src.stale = g.now
		g.revision++
	}
}

// checkGrace ends the sessions that rest on a source which has said nothing for too long.
func (g *Engine) checkGrace() {
	for i := range g.policies {
		src := &g.policies[i]
		if src.stale == 0 || src.lapsed || g.now.Sub(src.stale) < g.cfg.PolicyGrace {
			continue
		}
		src.lapsed = true
		g.revision++
		g.rejudge(slices.Clone(g.list), revocation{source: i})
	}
}

// permission is what one source says about one end of a session.
func (src *policySource) permission(s *session, port flows.LogicalPort, d flows.Direction) flows.Permission {
	hold := src.stale == 0 || !src.lapsed && s.state.hasRules()
	switch {
	case !hold:
		return flows.Permission{Reason: flows.SGUnknown}
	case src.policy == nil:
		return flows.Permission{}
	}
	return src.policy.Judge(port, d, s.tuple)
}

// detail says for a person what a permission rests on.
func (src *policySource) detail(port flows.LogicalPort, p flows.Permission) string {
	switch {
	case src.policy == nil:
		return src.why
	case src.stale != 0 && p.Reason == flows.SGUnknown:
		return src.why
	case p.Rule != 0:
		return src.policy.Describe(p.Rule)
	case p.Reason == "":
		return "port security is off, or what no rule denies is permitted"
	case p.Reason == flows.SGDenied:
		return "no rule permits it"
	}
	return src.policy.Detail(port)
}

// PolicyState is what the engine has of one source, in the order of Config.PolicySources.
type PolicyState struct {
	Known    bool          // it has told something
	Stale    flows.Instant // since when it may be behind; 0: it is not
	Why      string        // it is
	Enforced uint64        // as PolicyEnforced.Revision
}

// Policies returns the state of each source.
func (g *Engine) Policies() []PolicyState {
	list := make([]PolicyState, len(g.policies))
	for i, src := range g.policies {
		list[i] = PolicyState{Known: src.policy != nil, Stale: src.stale, Why: src.why, Enforced: src.enforced}
	}
	return list
}

// revocation is what led to a new judgement.
type revocation struct {
	before   Policy // nil: there was none
	source   int
	revision uint64 // as PolicyChanged.Revision
}

// ruleKey names a rule of a source.
type ruleKey struct {
	source int
	rule   flows.RuleRef
}

// standing is what the permission of a session rests on, by which it is found.
type standing struct {
	judged uint64 // Engine.revision when that was found out
	rules  []*member[ruleKey]
	addrs  [2]*member[netip.Addr]
}
