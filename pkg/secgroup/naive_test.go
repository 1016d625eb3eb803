package secgroup_test

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// naive judges by looking at every rule, as Neutron's API reference ("Security group
// rules") and ovn-nb(5) ("ACL TABLE") describe what one matches, and which one counts. It
// shares no code with what it is compared to.
type naive struct {
	ports map[flows.LogicalPort]*secgroup.Port
	rules map[secgroup.RuleID]*secgroup.Rule
	sets  map[secgroup.SetID]map[netip.Prefix]bool
}

func newNaive() *naive {
	return &naive{
		map[flows.LogicalPort]*secgroup.Port{},
		map[secgroup.RuleID]*secgroup.Rule{},
		map[secgroup.SetID]map[netip.Prefix]bool{},
	}
}

func (n *naive) apply(u *secgroup.Update) {
	if u.Reset {
		*n = *newNaive()
	}
	for name, p := range u.Ports {
		if n.ports[name] = p; p == nil {
			delete(n.ports, name)
		}
	}
	for id, r := range u.Rules {
		if n.rules[id] = r; r == nil {
			delete(n.rules, id)
		}
	}
	for id, s := range u.Sets {
		if s.Gone {
			delete(n.sets, id)
			continue
		}
		if s.Replace || n.sets[id] == nil {
			n.sets[id] = map[netip.Prefix]bool{}
		}
		for _, p := range s.Remove {
			delete(n.sets[id], p)
		}
		for _, p := range s.Add {
			n.sets[id][p] = true
		}
	}
}

func (n *naive) size() secgroup.Size {
	s := secgroup.Size{Ports: len(n.ports), Rules: len(n.rules), Sets: len(n.sets)}
	for _, members := range n.sets {
		s.Members += len(members)
	}
	return s
}

// judge returns the reason and which rules may be said to decide; none: no rule does.
func (n *naive) judge(name flows.LogicalPort, d flows.Direction, t flows.Tuple) (flows.Reason, []*secgroup.Rule) {
	p := n.ports[name]
	switch {
	case p == nil:
		return flows.SGUnknown, nil
	case p.Reason != "":
		return p.Reason, nil
	}
	local := t.Src
	if d == flows.Ingress {
		local = t.Dst
	}
	allowed := len(p.Addresses) == 0
	for _, prefix := range p.Addresses {
		allowed = allowed || prefix.Contains(local)
	}
	switch {
	case !allowed:
		return flows.SGDenied, nil
	case p.Open:
		return "", nil
	}
	var best, stateless hit
	for _, r := range n.rules {
		if r.Direction != d || !share(r.Groups, p.Groups) {
			continue
		}
		for _, m := range r.Matches {
			if matches, unknown := n.match(&m, r.Action, d, t); matches {
				a := r.Action
				if unknown || a == 0 {
					a = secgroup.Unknown
				}
				best.take(r, a)
				if a == secgroup.AllowStateless {
					stateless.take(r, a)
				}
			}
		}
	}
	switch {
	case best.action == secgroup.Drop:
		return flows.SGDenied, best.rules
	case best.action == secgroup.Unknown:
		return flows.SGUnknown, best.rules
	case stateless.action != 0:
		return flows.SGStateless, stateless.rules
	case best.action == secgroup.Allow:
		return "", best.rules
	case p.Permissive:
		return "", nil
	}
	return flows.SGDenied, nil
}

// hit is the rules that go before all others.
type hit struct {
	action secgroup.Action
	rules  []*secgroup.Rule
}

func (h *hit) take(r *secgroup.Rule, a secgroup.Action) {
	if len(h.rules) > 0 {
		switch o := h.rules[0]; {
		case r.Tier > o.Tier,
			r.Tier == o.Tier && r.Priority < o.Priority,
			r.Tier == o.Tier && r.Priority == o.Priority && a < h.action:
			return
		case r.Tier == o.Tier && r.Priority == o.Priority && a == h.action:
			h.rules = append(h.rules, r)
			return
		}
	}
	*h = hit{a, []*secgroup.Rule{r}}
}

func share(a, b []secgroup.GroupID) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

// match reports whether the packet is one of m's, and whether that is not known for sure.
func (n *naive) match(m *secgroup.Match, a secgroup.Action, d flows.Direction, t flows.Tuple) (matches, unknown bool) {
	remote, local := t.Dst, t.Src
	if d == flows.Ingress {
		remote, local = t.Src, t.Dst
	}
	if m.Family == secgroup.IPv4 && !t.Src.Is4() || m.Family == secgroup.IPv6 && t.Src.Is4() {
		return false, false
	}
	if m.HasProto && m.Proto != t.Proto {
		return false, false
	}
	src, dst := t.SrcPort, t.DstPort
	switch {
	case !m.SrcPorts.Some && !m.DstPorts.Some:
	case !m.HasProto:
		unknown = true
	case m.Proto == flows.ICMP || m.Proto == flows.ICMPv6:
		src, dst = t.DstPort/256, t.DstPort%256
	case !m.Proto.HasPorts():
		unknown = true
	}
	if !unknown && (!inRange(m.SrcPorts, src) || !inRange(m.DstPorts, dst)) {
		return false, false
	}
	for _, c := range []struct {
		want secgroup.Addrs
		have netip.Addr
	}{{m.Remote, remote}, {m.Local, local}} {
		fits, doubt := n.fits(&c.want, c.have, a)
		if !fits {
			return false, false
		}
		unknown = unknown || doubt
	}
	return true, unknown
}

func inRange(r secgroup.PortRange, p uint16) bool {
	return !r.Some || p >= r.First && p <= r.Last
}

func (n *naive) fits(want *secgroup.Addrs, ip netip.Addr, a secgroup.Action) (fits, unknown bool) {
	fits = len(want.Prefixes)+len(want.Sets) == 0
	for _, p := range want.Prefixes {
		fits = fits || p.Contains(ip)
	}
	for _, id := range want.Sets {
		s, there := n.sets[id]
		if !there && a != secgroup.Allow {
			fits, unknown = true, true
		}
		fits = fits || in(s, ip)
	}
	for _, id := range want.NotSets {
		s, there := n.sets[id]
		fits = fits && !in(s, ip)
		unknown = unknown || !there
	}
	return fits, unknown
}

func in(s map[netip.Prefix]bool, ip netip.Addr) bool {
	for p := range s {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
