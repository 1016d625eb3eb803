package engine

import (
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// end is one end of a session that has security groups.
type end struct {
	id        flows.PortID
	port      flows.LogicalPort
	direction flows.Direction
	tuple     flows.Tuple // of the original direction, as it is there
}

// ends returns them: where packets of the original direction leave an instance, and where
// they reach one. Replies need no permission of their own.
func (g *Engine) ends(s *session) (list []end) {
	p := s.paths[flows.Orig]
	for _, e := range [...]end{
		{id: p.In, direction: flows.Egress, tuple: s.tuple},
		{id: p.Out, direction: flows.Ingress, tuple: p.Addressed(s.tuple)},
	} {
		if e.port = g.ports[e.id].Logical; e.port != "" {
			list = append(list, e)
		}
	}
	return list
}

// nobody stands for a source where there is none.
const nobody = -1

// refusal is the answer of one source about one end.
type refusal struct {
	end
	flows.Permission
	source int
}

// askGroups asks all sources about both ends of a session. It returns the rules that permit
// it, or what speaks against that: first what denies it.
func (g *Engine) askGroups(s *session) (rules []ruleKey, against []refusal) {
	var unsure []refusal
	for _, e := range g.ends(s) {
		if len(g.sources) == 0 {
			return nil, []refusal{{e, flows.Permission{Reason: flows.SGUnknown}, nobody}}
		}
		for i := range g.sources {
			p := g.sources[i].permission(s, &e)
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

// stands reports whether a session is permitted by all that was told until now, and ends it
// if it is not.
func (g *Engine) stands(s *session) bool {
	g.rejudge([]*session{s}, news{source: nobody})
	return !s.dead && s.state != Removing
}

// news is what led to a new judgement: what a source permitted before, or nil.
type news struct {
	source int
	before Permissions
}

// rejudge asks about sessions that were judged when less was known, and ends those that
// are not permitted any more.
func (g *Engine) rejudge(list []*session, why news) {
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
func (g *Engine) revoke(s *session, against []refusal, why news) {
	s.primary().detail = g.refusalDetail(against[0]) + g.usedToPermit(against[0], why)
	g.denyAt(s, against)
	g.remove(s, against[0].Reason)
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
	addrs := s.addrs()
	st.addrs = make([]*member[netip.Addr], len(addrs))
	for i, addr := range addrs {
		st.addrs[i] = g.byAddr.add(addr, s)
	}
}

// addrs returns the addresses that it has at either end.
func (s *session) addrs() []netip.Addr {
	list := []netip.Addr{s.tuple.Src, s.tuple.Dst}
	far := s.paths[flows.Orig].Addressed(s.tuple)
	for _, addr := range [...]netip.Addr{far.Src, far.Dst} {
		if !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	return list
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
		g.byAddr.remove(m)
	}
	*st = standing{judged: st.judged}
}
