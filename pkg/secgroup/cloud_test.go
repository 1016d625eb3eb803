package secgroup_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// cloud is a policy in the shape that Neutron writes: rules of one group, direction and
// family, with a CIDR, a group or nothing as the remote end, and a range of ports at most.
type cloud struct {
	ports, groups int
	rules         int // in each group
	members       int // of each group's set
	addrs         int // that these are drawn from
	shape         func(w *rand.Rand, c *cloud, i int) secgroup.Match
}

// These are what the bounds were set for.
var clouds = []struct {
	name string
	row  string // what its measurements are called behind sg-lookup-; "": there are none
	cloud
}{
	{"1000-ports", "10k", cloud{ports: 1000, groups: 100, rules: 100, members: 1000, addrs: 20_000, shape: mixed}},
	{"same-members", "", cloud{ports: 1000, groups: 100, rules: 100, members: 1000, addrs: 1000, shape: mixed}},
	{"one-port", "", cloud{ports: 1, groups: 1, rules: 5000, members: 1000, addrs: 1000, shape: mixed}},
	{"one-port-ranges", "", cloud{ports: 1, groups: 1, rules: 5000, members: 1000, addrs: 1000, shape: ranges}},
	{"one-port-nested", "", cloud{ports: 1, groups: 1, rules: 5000, members: 1000, addrs: 1000, shape: nested}},
	{"one-port-cidrs", "one-port-5000", cloud{ports: 1, groups: 1, rules: 5000, members: 1000, addrs: 1000, shape: cidrs}},
	{"50k-rules", "50k", cloud{ports: 1000, groups: 500, rules: 100, members: 200, addrs: 20_000, shape: mixed}},
}

// host spreads addresses over prefixes: 16 in a /24, 1024 in a /16.
func host(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 10), byte(i >> 4 & 63), byte(i & 15)})
}

func hostPrefix(i int) netip.Prefix { return netip.PrefixFrom(host(i), 32) }

func groupID(i int) secgroup.GroupID { return secgroup.GroupID(fmt.Sprint("pg_", i)) }

func setID(i int) secgroup.SetID { return secgroup.SetID(fmt.Sprint("pg_", i, "_ip4")) }

func ruleID(g, i int) secgroup.RuleID { return secgroup.RuleID(fmt.Sprint(g, "/", i)) }

func portName(i int) flows.LogicalPort {
	return flows.LogicalPort(fmt.Sprintf("%08x-9d3c-4f1e-8a55-0242ac110002", i))
}

// mixed is what a large tenant has.
func mixed(w *rand.Rand, c *cloud, i int) secgroup.Match {
	m := secgroup.Match{Family: secgroup.IPv4, Proto: flows.TCP, HasProto: true}
	switch w.IntN(10) {
	case 0, 1, 2:
		m.Remote.Sets = []secgroup.SetID{setID(w.IntN(c.groups))}
	case 3, 4, 5, 6:
		m.Remote.Prefixes = []netip.Prefix{netip.PrefixFrom(host(w.IntN(c.addrs)), 8*(2+w.IntN(3))).Masked()}
	}
	switch w.IntN(8) {
	case 0:
		if !m.Remote.IsAny() { // or nothing is denied
			m.HasProto = false
			return m
		}
	case 1:
		m.Proto = flows.UDP
	case 2:
		m.Proto, m.SrcPorts = flows.ICMP, secgroup.PortRange{First: 8, Last: 8, Some: true}
		return m
	case 3:
		m.Family, m.Remote = secgroup.IPv6, secgroup.Addrs{}
	}
	first := uint16(w.IntN(60_000))
	m.DstPorts = secgroup.PortRange{First: first, Last: first + uint16(w.IntN(200)), Some: true}
	return m
}

// ranges is overlapping ports of one protocol, from anywhere.
func ranges(w *rand.Rand, _ *cloud, i int) secgroup.Match {
	first := uint16(w.IntN(60_000))
	return secgroup.Match{Family: secgroup.IPv4, Proto: flows.TCP, HasProto: true,
		DstPorts: secgroup.PortRange{First: first, Last: first + uint16(w.IntN(5000)), Some: true}}
}

// nested is ranges within ranges.
func nested(_ *rand.Rand, _ *cloud, i int) secgroup.Match {
	return secgroup.Match{Family: secgroup.IPv4, Proto: flows.TCP, HasProto: true,
		DstPorts: secgroup.PortRange{First: uint16(i), Last: uint16(65535 - i), Some: true}}
}

// cidrs is as many prefixes as rules.
func cidrs(_ *rand.Rand, _ *cloud, i int) secgroup.Match {
	m := ranges(rand.New(rand.NewPCG(1, uint64(i))), nil, i)
	m.Remote.Prefixes = []netip.Prefix{hostPrefix(i)}
	return m
}

func (c *cloud) rule(w *rand.Rand, g, i int) *secgroup.Rule {
	return &secgroup.Rule{
		Name:      fmt.Sprintf("%08x-%04x-4f1e-8a55-0242ac110002", g, i),
		Groups:    []secgroup.GroupID{groupID(g)},
		Direction: flows.Direction(i % 2),
		Priority:  1002,
		Action:    secgroup.Allow,
		Matches:   []secgroup.Match{c.shape(w, c, i)},
	}
}

func (c *cloud) portGroups(w *rand.Rand) (list []secgroup.GroupID) {
	for _, g := range w.Perm(c.groups)[:min(c.groups, 1+w.IntN(5))] {
		list = append(list, groupID(g))
	}
	return list
}

// update is all of it.
func (c *cloud) update() *secgroup.Update {
	w := rand.New(rand.NewPCG(1, 2))
	u := &secgroup.Update{
		Reset: true,
		Ports: make(map[flows.LogicalPort]*secgroup.Port),
		Rules: make(map[secgroup.RuleID]*secgroup.Rule),
		Sets:  make(map[secgroup.SetID]secgroup.SetChange),
	}
	for i := range c.ports {
		u.Ports[portName(i)] = &secgroup.Port{Groups: c.portGroups(w)}
	}
	for g := range c.groups {
		var members []netip.Prefix
		for i, first := 0, w.IntN(c.addrs); i < c.members; i++ {
			members = append(members, hostPrefix((first+i*7919)%c.addrs)) // a prime: all are different
		}
		u.Sets[setID(g)] = secgroup.SetChange{Replace: true, Add: members}
		for i := range c.rules {
			u.Rules[ruleID(g, i)] = c.rule(w, g, i)
		}
	}
	return u
}

// packets are from and to members mostly.
func (c *cloud) packets(n int) []packet {
	w := rand.New(rand.NewPCG(3, 4))
	list := make([]packet, n)
	for i := range list {
		t := flows.Tuple{Src: host(w.IntN(c.addrs)), Dst: host(w.IntN(c.addrs)), Proto: flows.TCP,
			SrcPort: uint16(32768 + w.IntN(28_000)), DstPort: uint16(w.IntN(60_000))}
		if w.IntN(4) == 0 {
			t.Proto = flows.UDP
		}
		list[i] = packet{portName(w.IntN(c.ports)), flows.Direction(w.IntN(2)), t}
	}
	return list
}
