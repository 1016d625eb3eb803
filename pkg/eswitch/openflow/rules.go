package openflow

import (
	"context"
	"errors"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// Rules implements eswitch.Driver. A port that is gone has none.
func (d *Driver) Rules(ctx context.Context, scope eswitch.Scope, fn func(*eswitch.Found)) error {
	p := d.places(ctx)
	at, err := p.of(scope.Link)
	if errors.Is(err, eswitch.ErrPortGone) {
		return nil
	}
	if err != nil {
		return err
	}
	r := reading{driver: d, scope: scope, places: p, at: at, fn: fn}
	err = r.read(ctx, filtersOf(scope, at.port))
	guards, broken := whole(r.guards)
	if len(broken) > 0 && err == nil { // one may have come or gone between two requests: ask once for all
		r.guards, r.strays = nil, nil
		err = r.read(ctx, []of.Filter{filterOf(scope, at.port)})
		guards, broken = whole(r.guards)
	}
	if err != nil {
		guards, broken = nil, nil // which may miss what was not read
	}
	for i := range guards {
		fn(&guards[i])
	}
	return errors.Join(err, d.prune(ctx, at.bridge, append(r.strays, broken...)))
}

// reading is what is read of the rules of one scope.
type reading struct {
	driver *Driver
	scope  eswitch.Scope
	places *places
	at     place
	fn     func(*eswitch.Found) // is called with rules
	guards []eswitch.Found      // each of their flows
	strays []uint64
}

func (r *reading) read(ctx context.Context, filters []of.Filter) error {
	for _, filter := range filters {
		strays, err := r.driver.look(ctx, r.at.bridge, filter, r.places, r.take)
		if err != nil {
			return err
		}
		r.strays = append(r.strays, strays...)
	}
	return nil
}

func (r *reading) take(f *of.Flow, m *mark) {
	found, ok := r.driver.decode(f, m, r.scope, r.places, r.at)
	switch {
	case !ok:
	case found.Session == 0:
		r.guards = append(r.guards, found)
	default:
		r.fn(&found)
	}
}

// filtersOf lets the bridge pick out what is wanted. Guards are looked for by what only
// they match, so that to find them takes no longer the more rules there are.
func filtersOf(s eswitch.Scope, port uint32) (all []of.Filter) {
	f := filterOf(s, port)
	switch {
	case s.Class.TagType() == flows.TagProvider: // which no flow can say
	case s.Class.IsGuard():
		for _, family := range familiesOf(s.Class) {
			for ttl := range uint8(fewHops) {
				f.Match.EthType, f.Match.TTL, f.Match.MatchTTL = family, ttl, true
				all = append(all, f)
			}
		}
	case s.Class != 0:
		for _, proto := range protosOf[(s.Class-1)%eswitch.Portlessv4] {
			f.Match.IPProto = proto
			all = append(all, f)
		}
	default:
		all = []of.Filter{f}
	}
	return all
}

// protosOf are the protocols of the classes, which repeat with each family and tag.
var protosOf = [...][]flows.Proto{{flows.TCP}, {flows.UDP}, {flows.SCTP}, {flows.ESP, flows.AH, flows.GRE}}

// familiesOf returns the Ethernet types of a class.
func familiesOf(c eswitch.Class) []uint16 {
	switch {
	case c == eswitch.GuardCustomer || c == eswitch.GuardProvider:
		return []uint16{of.IPv4, of.IPv6}
	case c.IsIPv6():
		return []uint16{of.IPv6}
	}
	return []uint16{of.IPv4}
}

// filterOf is filtersOf with one filter, which lets more through.
func filterOf(s eswitch.Scope, port uint32) of.Filter {
	f := of.Filter{Match: of.Match{InPort: port}}
	switch {
	case s.Class == 0:
		return f
	case s.Class.TagType() == 0:
		f.Match.VLANMask = of.VLANAll
	default:
		f.Match.VLAN, f.Match.VLANMask = of.VLANPresent, of.VLANPresent
	}
	if families := familiesOf(s.Class); len(families) == 1 {
		f.Match.EthType = families[0]
	}
	return f
}

func (d *Driver) decode(f *of.Flow, m *mark, scope eswitch.Scope, p *places, at place) (eswitch.Found, bool) {
	var out int32
	if n := outOf(f); n != 0 && scope.Detail {
		out = p.linkOf(at.bridge, n)
	}
	rule := ruleOf(f, m, out)
	class, ok := classOf(rule, m)
	if !ok || scope.Class != 0 && scope.Class != class {
		return eswitch.Found{}, false
	}
	found := eswitch.Found{Ref: m.ref(class), Session: m.session, Generation: m.generation, Count: f.Count}
	switch {
	case !scope.Detail:
	case m.session == 0:
		found.Rule, found.Intact = rule, d.guardIntact(f, m, &rule, at.port)
	default:
		found.Rule, found.Intact = rule, d.intact(f, &rule, at.port)
	}
	return found, true
}

func classOf(r flows.Rule, m *mark) (eswitch.Class, bool) {
	if m.session == 0 {
		return eswitch.ClassOfGuard(r), true
	}
	return eswitch.ClassOf(r)
}
