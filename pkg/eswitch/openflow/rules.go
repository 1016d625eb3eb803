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
	var guards []eswitch.Found
	strays, err := d.look(ctx, at.bridge, filterOf(scope, at.port), p, func(f *of.Flow, m *mark) {
		found, ok := d.decode(f, m, scope, p, at)
		switch {
		case !ok:
		case found.Session == 0:
			guards = append(guards, found)
		default:
			fn(&found)
		}
	})
	guards, broken := whole(guards)
	for i := range guards {
		fn(&guards[i])
	}
	return errors.Join(err, d.prune(ctx, at.bridge, append(strays, broken...)))
}

// filterOf lets the bridge pick out what is wanted, as far as it can.
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
	switch {
	case s.Class == eswitch.GuardCustomer || s.Class == eswitch.GuardProvider: // of both families
	case s.Class.IsIPv6():
		f.Match.EthType = of.IPv6
	default:
		f.Match.EthType = of.IPv4
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
