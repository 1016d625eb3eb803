package file

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// Priorities. All that Neutron has is rules that permit; what names a group that is not in
// the file may permit something too, so that where no rule does, it is unknown.
const (
	unknownPriority = 0
	allowPriority   = 1
)

// state is what a file says. Sets are sorted.
type state struct {
	ports map[flows.LogicalPort]*secgroup.Port
	rules map[secgroup.RuleID]*secgroup.Rule
	sets  map[secgroup.SetID][]netip.Prefix
}

// A builder looks up the names of a body.
type builder struct {
	body    *body
	host    string                    // our binding:host_id; empty: not checked
	members map[string][]netip.Prefix // by security group: the addresses of its ports
	state   state
}

// newState reads a document. Ports that are not bound to host are PortUnbound; with an
// empty one this is not looked at.
func newState(data []byte, host string) (*state, error) {
	parsed, err := parse(data)
	if err != nil {
		return nil, err
	}
	b := &builder{
		body: parsed, host: host, members: map[string][]netip.Prefix{},
		state: state{
			ports: make(map[flows.LogicalPort]*secgroup.Port, len(parsed.ports)),
			rules: map[secgroup.RuleID]*secgroup.Rule{},
			sets:  map[secgroup.SetID][]netip.Prefix{},
		},
	}
	for _, p := range parsed.ports {
		b.addPort(p)
	}
	for _, g := range parsed.groups {
		for _, r := range g.rules {
			b.addRule(g, r)
		}
	}
	return &b.state, nil
}

func (b *builder) addPort(p port) {
	out := &secgroup.Port{Open: p.open, Owner: secgroup.Owner{Tenant: p.tenant, Groups: b.names(p.groups)}}
	out.Reason, out.Detail = p.held(b.host)
	for _, id := range p.groups {
		out.Groups = append(out.Groups, secgroup.GroupID(id))
		b.members[id] = append(b.members[id], p.addresses...)
		if _, ok := b.body.groups[id]; !ok {
			b.addUnknown(id)
		}
	}
	b.state.ports[flows.LogicalPort(p.id)] = out
}

// names returns what groups are called. One without a name in the file may have any.
func (b *builder) names(ids []string) secgroup.Names {
	n := secgroup.Names{List: slices.Clone(ids), IDs: true, Named: true}
	for _, id := range ids {
		if name := b.body.groups[id].name; name != "" {
			n.Called = append(n.Called, name)
		} else {
			n.Named = false
		}
	}
	n.List, n.Called = distinct(n.List), distinct(n.Called)
	return n
}

func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// held says why nothing may be offloaded on a port whatever its groups say.
func (p port) held(host string) (flows.Reason, string) {
	switch {
	case p.down:
		return flows.PortUnbound, "admin_state_up is false"
	case p.vifType == "binding_failed" || p.vifType == "unbound":
		return flows.PortUnbound, "binding:vif_type is " + p.vifType
	case host != "" && p.host == "":
		return flows.PortUnbound, "there is no binding:host_id"
	case host != "" && p.host != host:
		return flows.PortUnbound, fmt.Sprintf("binding:host_id is %q", bounded(p.host))
	case p.migratingTo != "":
		return flows.PortMigrating, fmt.Sprintf("migrating_to is %q", bounded(p.migratingTo))
	}
	return "", ""
}

// addUnknown adds the rules of a group that is not there: what they permit is unknown.
func (b *builder) addUnknown(id string) {
	for _, d := range []flows.Direction{flows.Egress, flows.Ingress} {
		b.state.rules[secgroup.RuleID(id+"/"+d.String())] = &secgroup.Rule{
			Name:   fmt.Sprintf("security group %s, which the file does not have", id),
			Groups: []secgroup.GroupID{secgroup.GroupID(id)}, Direction: d,
			Priority: unknownPriority, Action: secgroup.Unknown,
			Matches: []secgroup.Match{{}},
		}
	}
}

func (b *builder) addRule(g group, r rule) {
	out := &secgroup.Rule{
		Name:   fmt.Sprintf("rule %s of security group %q (%s)", r.id, bounded(g.name), g.id),
		Groups: []secgroup.GroupID{secgroup.GroupID(g.id)}, Direction: r.direction,
		Priority: allowPriority, Action: secgroup.Allow,
	}
	if !g.stateful {
		out.Action = secgroup.AllowStateless
	}
	switch id, there := b.set(r); {
	case !there:
		out.Name += fmt.Sprintf(", whose remote %s the file does not have", id)
		out.Priority, out.Action = unknownPriority, secgroup.Unknown
	case id != "":
		r.match.Remote.Sets = []secgroup.SetID{id}
	}
	out.Matches = []secgroup.Match{r.match}
	b.state.rules[secgroup.RuleID(r.id)] = out
}

// set returns the set of addresses that a rule names, empty where it names none, and
// whether there is one. Only sets that rules name are kept.
func (b *builder) set(r rule) (id secgroup.SetID, there bool) {
	var prefixes []netip.Prefix
	switch {
	case r.remoteGroup != "":
		id = secgroup.SetID("security group " + r.remoteGroup)
		prefixes, there = b.members[r.remoteGroup]
		if !there { // a group without members is there too
			_, there = b.body.groups[r.remoteGroup]
		}
	case r.addressGroup != "":
		id = secgroup.SetID("address group " + r.addressGroup)
		var pool addressGroup
		pool, there = b.body.pools[r.addressGroup]
		prefixes = pool.prefixes
	default:
		return "", true
	}
	if _, done := b.state.sets[id]; there && !done {
		b.state.sets[id] = sorted(prefixes)
	}
	return id, there
}

func sorted(prefixes []netip.Prefix) []netip.Prefix {
	prefixes = slices.Clone(prefixes)
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return slices.Compact(prefixes)
}

// all is an update that tells everything.
func (s *state) all() *secgroup.Update {
	u := &secgroup.Update{
		Reset: true, Ports: maps.Clone(s.ports), Rules: maps.Clone(s.rules),
		Sets: make(map[secgroup.SetID]secgroup.SetChange, len(s.sets)),
	}
	for id, prefixes := range s.sets {
		u.Sets[id] = secgroup.SetChange{Replace: true, Add: prefixes}
	}
	return u
}
