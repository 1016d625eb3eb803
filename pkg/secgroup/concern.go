package secgroup

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// concern gathers what a Change names.
type concern struct {
	rules      map[flows.RuleRef]bool
	ports      map[flows.LogicalPort]bool
	hosts      map[netip.Addr]bool
	restricted map[*group]bool                // got rules, or their rules matches, that do not allow
	grown      map[flows.LogicalPort][]*group // that ports have joined, and done nothing else
	owners     bool                           // see Change
}

func newConcern() concern {
	return concern{
		rules:      make(map[flows.RuleRef]bool),
		ports:      make(map[flows.LogicalPort]bool),
		hosts:      make(map[netip.Addr]bool),
		restricted: make(map[*group]bool),
		grown:      make(map[flows.LogicalPort][]*group),
	}
}

// revoke notes that r does not allow any more all that it did.
func (n *concern) revoke(r flows.RuleRef) { n.rules[r] = true }

// restrict notes that something may be denied at the ports of g that was not.
func (n *concern) restrict(g *group) { n.restricted[g] = true }

// deny notes what r denies: that of some addresses, or else anything at its groups' ports.
func (n *concern) deny(r *rule, places []placed) {
	hosts := make(map[netip.Addr]bool)
	for _, p := range places {
		if p.reason() != "" {
			hosts[p.host] = true
		}
	}
	if !hosts[netip.Addr{}] && len(hosts) <= maxDenied {
		maps.Copy(n.hosts, hosts)
		return
	}
	for _, g := range r.groups {
		n.restrict(g)
	}
}

// maxDenied is how many addresses a Change names of a rule that denies, before it names
// ports instead.
const maxDenied = 16

// maxHosts is how many addresses of one set a Change names before it names rules instead.
const maxHosts = 4096

// moved notes that members joined or left s, which concerns what rules allow that use it in
// one way, and what others deny that use it in the other.
func (n *concern) moved(s *set, members []netip.Prefix, allow, deny use) {
	if len(members) == 0 {
		return
	}
	wide := len(members) > maxHosts ||
		slices.ContainsFunc(members, func(p netip.Prefix) bool { return !p.IsSingleIP() })
	some := false
	for r, as := range s.users {
		revoked, denied := as&allow != 0 && r.allows(), as&deny != 0 && r.denies()
		some = some || revoked || denied
		if wide && revoked {
			n.revoke(r.ref)
		}
		if wide && denied {
			for _, g := range r.groups {
				n.restrict(g)
			}
		}
	}
	if some && !wide {
		for _, p := range members {
			n.hosts[p.Addr()] = true
		}
	}
}

// concerns returns what the work is about to change. c.table is the one before.
func (c *Compiler) concerns() Change {
	for g := range c.restricted {
		for name := range g.ports {
			c.judgeAnew(name)
		}
	}
	for name, groups := range c.grown {
		if slices.ContainsFunc(groups, func(g *group) bool { return g.denying > 0 }) {
			c.judgeAnew(name)
		}
	}
	return Change{
		Ports:  slices.Sorted(maps.Keys(c.concern.ports)),
		Rules:  slices.Sorted(maps.Keys(c.concern.rules)),
		Addrs:  slices.SortedFunc(maps.Keys(c.concern.hosts), netip.Addr.Compare),
		Owners: c.concern.owners,
	}
}
