package secgroup_test

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// linear is the obvious way, as a peer to measure against: the rules of a port's groups
// one after the other, until one of them matches. It knows what a cloud has, no more.
type linear struct {
	rules map[flows.LogicalPort]*[2][]*secgroup.Rule // by direction
	sets  map[secgroup.SetID]map[netip.Addr]bool
}

func newLinear(u *secgroup.Update) *linear {
	l := &linear{map[flows.LogicalPort]*[2][]*secgroup.Rule{}, map[secgroup.SetID]map[netip.Addr]bool{}}
	byGroup := map[secgroup.GroupID][]*secgroup.Rule{}
	for _, r := range u.Rules {
		byGroup[r.Groups[0]] = append(byGroup[r.Groups[0]], r)
	}
	for name, p := range u.Ports {
		l.rules[name] = new([2][]*secgroup.Rule)
		for _, g := range p.Groups {
			for _, r := range byGroup[g] {
				l.rules[name][r.Direction] = append(l.rules[name][r.Direction], r)
			}
		}
	}
	for id, s := range u.Sets {
		l.sets[id] = map[netip.Addr]bool{}
		for _, p := range s.Add {
			l.sets[id][p.Addr()] = true
		}
	}
	return l
}

func (l *linear) judge(p *packet) *secgroup.Rule {
	remote := p.tuple.Dst
	if p.dir == flows.Ingress {
		remote = p.tuple.Src
	}
	for _, r := range l.rules[p.port][p.dir] {
		if l.match(&r.Matches[0], &p.tuple, remote) {
			return r
		}
	}
	return nil
}

func (l *linear) match(m *secgroup.Match, t *flows.Tuple, remote netip.Addr) bool {
	if m.Family != secgroup.IPv4 || m.HasProto && m.Proto != t.Proto || !inRange(m.DstPorts, t.DstPort) {
		return false
	}
	for _, p := range m.Remote.Prefixes {
		if p.Contains(remote) {
			return true
		}
	}
	for _, s := range m.Remote.Sets {
		if l.sets[s][remote] {
			return true
		}
	}
	return m.Remote.IsAny()
}
