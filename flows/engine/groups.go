package engine

import (
	"fmt"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// end is one end of a session that has security groups.
type end struct {
	port      flows.LogicalPort
	direction flows.Direction
}

// ends returns them: where packets of the original direction leave an instance, and where
// they reach one. Replies need no permission of their own.
func (g *Engine) ends(paths flows.Paths) (list []end) {
	p := paths[flows.Orig]
	for d, id := range [...]flows.PortID{flows.Egress: p.In, flows.Ingress: p.Out} {
		if port := g.ports[id].Logical; port != "" {
			list = append(list, end{port, flows.Direction(d)})
		}
	}
	return list
}

// refusal is the answer of one source about one end.
type refusal struct {
	end
	flows.Permission
	source int
}

// askGroups asks all sources about both ends of a session. It returns the rules that permit
// it, or what speaks against that: first those that deny it.
func (g *Engine) askGroups(s *session) (rules []ruleKey, against []refusal) {
	var unsure []refusal
	for _, e := range g.ends(s.paths) {
		if len(g.policies) == 0 {
			return nil, []refusal{{e, flows.Permission{Reason: flows.SGUnknown}, -1}}
		}
		for i := range g.policies {
			p := g.policies[i].permission(s, e.port, e.direction)
			switch {
			case p.Reason == "":
				rules = append(rules, ruleKey{i, p.Rule})
			case p.Reason == flows.SGDenied:
				against = append(against, refusal{e, p, i})
			default:
				unsure = append(unsure, refusal{e, p, i})
			}
		}
	}
	return rules, append(against, unsure...)
}

// permitted says why the security groups of a session's ports do not let it be offloaded,
// or remembers what their permission rests on.
func (g *Engine) permitted(s *session) (flows.Reason, string) {
	rules, against := g.askGroups(s)
	if len(against) > 0 {
		return against[0].Reason, g.refusalDetail(against[0])
	}
	g.standOn(s, rules)
	return "", ""
}

// permittedStill is permitted for what was judged when less was known.
func (g *Engine) permittedStill(s *session) (flows.Reason, string) {
	if s.standing.judged == g.revision {
		return "", ""
	}
	return g.permitted(s)
}

func (g *Engine) refusalDetail(r refusal) string {
	text := fmt.Sprintf("%s of %s", r.direction, r.port)
	if r.source < 0 {
		return text
	}
	return text + ": " + g.policies[r.source].detail(r.port, r.Permission)
}

// rejudge asks again about sessions, and ends those that are not permitted any more.
func (g *Engine) rejudge(list []*session, why revocation) {
	for _, s := range list {
		if s.dead || s.state == Resolving || s.standing.judged == g.revision {
			continue
		}
		s.standing.judged = g.revision
		rules, against := g.askGroups(s)
		if len(against) == 0 {
			g.standOn(s, rules)
			continue
		}
		g.revoke(s, against, why)
	}
}

// revoke takes a permission back.
func (g *Engine) revoke(s *session, against []refusal, why revocation) {
	s.primary().detail = g.refusalDetail(against[0]) + s.usedToPermit(against[0], why)
	for _, r := range against {
		if r.Reason == flows.SGDenied {
			g.denyIn(s, r, why)
		}
	}
	g.remove(s, against[0].Reason)
}

// usedToPermit names the rule that permitted a session before at the same end.
func (s *session) usedToPermit(r refusal, why revocation) string {
	if why.before == nil || r.source != why.source {
		return ""
	}
	p := why.before.Judge(r.port, r.direction, s.tuple)
	if p.Reason != "" || p.Rule == 0 {
		return ""
	}
	return "; until now by " + why.before.Describe(p.Rule)
}

// standOn files a session under the rules that permit it, and under its addresses, which
// may leave the sets that rules name.
func (g *Engine) standOn(s *session, rules []ruleKey) {
	st := &s.standing
	st.judged = g.revision
	if st.restsOn(rules) {
		return
	}
	g.standOff(s)
	for _, key := range rules {
		st.rules = append(st.rules, g.byRule.add(key, s))
	}
	for i, addr := range [...]netip.Addr{s.tuple.Src, s.tuple.Dst} {
		st.addrs[i] = g.byAddr.add(addr, s)
	}
}

// restsOn reports whether the rules are those that a session is filed under already.
func (st *standing) restsOn(rules []ruleKey) bool {
	if len(st.rules) != len(rules) {
		return false
	}
	for i, m := range st.rules {
		if m.key != rules[i] {
			return false
		}
	}
	return true
}

// standOff takes a session out of the files.
func (g *Engine) standOff(s *session) {
	st := &s.standing
	for _, m := range st.rules {
		g.byRule.remove(m)
	}
	for _, m := range st.addrs {
		if m != nil {
			g.byAddr.remove(m)
		}
	}
	*st = standing{judged: st.judged}
}

// EndCheck is the name of the checks about security groups.
const EndCheck = "security groups"

// ExplainGroups says what the security groups of both ends of a path decide about a
// connection, source by source.
func (g *Engine) ExplainGroups(paths flows.Paths, original flows.Tuple) (list []Check) {
	s := &session{tuple: original, paths: paths}
	for _, e := range g.ends(paths) {
		name := fmt.Sprintf("%s: %s", EndCheck, e.direction)
		if len(g.policies) == 0 {
			list = append(list, Check{Name: name, Outcome: Failed, Reason: flows.SGUnknown, Detail: string(e.port)})
		}
		for i := range g.policies {
			p := g.policies[i].permission(s, e.port, e.direction)
			c := Check{Name: name, Reason: p.Reason, Detail: g.refusalDetail(refusal{e, p, i})}
			if p.Reason != "" {
				c.Outcome = Failed
			}
			list = append(list, c)
		}
	}
	return list
}
