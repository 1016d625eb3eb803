package secgroup_test

import (
	"math/rand/v2"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// one is an update that changes one thing; there is another one with each n.
var one = []struct {
	what   string
	update func(c *cloud, n int) *secgroup.Update
}{
	{"rule-added", func(c *cloud, n int) *secgroup.Update {
		return ruleUpdate("new", c.rule(rand.New(rand.NewPCG(9, uint64(n))), 0, n))
	}},
	{"rule-gone", func(c *cloud, n int) *secgroup.Update { return ruleUpdate(ruleID(0, n), nil) }},
	{"rule-any", func(c *cloud, n int) *secgroup.Update { // all protocols, ports and addresses
		r := c.rule(rand.New(rand.NewPCG(9, uint64(n))), 0, n)
		r.Matches = []secgroup.Match{{Family: secgroup.IPv4}}
		return ruleUpdate("any", r)
	}},
	{"rule-tcp", func(c *cloud, n int) *secgroup.Update { // all ports
		r := c.rule(rand.New(rand.NewPCG(9, uint64(n))), 0, n)
		r.Matches = []secgroup.Match{{Family: secgroup.IPv4, Proto: flows.TCP, HasProto: true}}
		return ruleUpdate("tcp", r)
	}},
	{"member-added", func(c *cloud, n int) *secgroup.Update {
		return setUpdate(secgroup.SetChange{Add: []netip.Prefix{hostPrefix(c.addrs + n)}})
	}},
	{"member-gone", func(c *cloud, n int) *secgroup.Update {
		return setUpdate(secgroup.SetChange{Remove: []netip.Prefix{hostPrefix(n)}})
	}},
	{"port-moved", func(c *cloud, n int) *secgroup.Update {
		return &secgroup.Update{Ports: map[flows.LogicalPort]*secgroup.Port{
			portName(n % c.ports): {Groups: []secgroup.GroupID{groupID(n % c.groups)}, Permissive: n%2 == 0},
		}}
	}},
}

func ruleUpdate(id secgroup.RuleID, r *secgroup.Rule) *secgroup.Update {
	return &secgroup.Update{Rules: map[secgroup.RuleID]*secgroup.Rule{id: r}}
}

func setUpdate(s secgroup.SetChange) *secgroup.Update {
	return &secgroup.Update{Sets: map[secgroup.SetID]secgroup.SetChange{setID(0): s}}
}
