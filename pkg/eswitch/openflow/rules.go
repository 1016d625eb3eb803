package openflow

import (
	"context"
	"errors"

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
	strays, err := d.look(ctx, at.bridge, filterOf(scope, at.port), p, func(f *of.Flow, m *mark) {
		if found, ok := d.decode(f, m, scope, p, at); ok {
			fn(&found)
		}
	})
	return errors.Join(err, d.prune(ctx, at.bridge, strays))
}

// filterOf lets the bridge pick out what is wanted, as far as it can.
func filterOf(s eswitch.Scope, port uint32) of.Filter {
	f := of.Filter{Match: of.Match{InPort: port}}
	if s.Class != 0 {
		f.Match.EthType = of.IPv4
		if s.Class.IsIPv6() {
			f.Match.EthType = of.IPv6
		}
	}
	return f
}

func (d *Driver) decode(f *of.Flow, m *mark, scope eswitch.Scope, p *places, at place) (eswitch.Found, bool) {
	rule := ruleOf(f, m, 0)
	class, ok := eswitch.ClassOf(rule)
	if !ok || scope.Class != 0 && scope.Class != class {
		return eswitch.Found{}, false
	}
	found := eswitch.Found{Ref: m.ref(class), Session: m.session, Generation: m.generation, Count: f.Count}
	if scope.Detail {
		if out := outOf(f); out != 0 {
			rule.Out = p.linkOf(at.bridge, out)
		}
		found.Rule, found.Intact = rule, d.intact(f, &rule, at.port)
	}
	return found, true
}
