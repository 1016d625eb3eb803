package openflow

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// Keep implements eswitch.Keeper: the hard timeouts of the rules begin anew. Rules that
// are not there (any more) are not made.
func (d *Driver) Keep(ctx context.Context, rules []eswitch.Change) error {
	p := d.places(ctx)
	mods := make(map[*bridge][]of.FlowMod)
	var errs []error
	for i := range rules {
		if b, mod, ok := d.kept(&rules[i], p); ok {
			mods[b] = append(mods[b], mod)
		}
	}
	for b, list := range mods {
		if err := b.leavesAside(ctx); err != nil {
			errs = append(errs, fmt.Errorf("keep rules: %w", err))
			continue
		}
		for len(list) > 0 {
			n := min(len(list), of.MaxBundle)
			err := b.changes.with(ctx, func(c *of.Client) error { return c.Bundle(ctx, list[:n]) })
			if err != nil {
				errs = append(errs, fmt.Errorf("keep rules of bridge %s: %w", b.name, err))
			}
			list = list[n:]
		}
	}
	return errors.Join(errs...)
}

// kept returns what keeps one rule; ok is false where a port is gone: then it will be taken
// out, or end.
func (d *Driver) kept(c *eswitch.Change, p *places) (b *bridge, mod of.FlowMod, ok bool) {
	in, err := p.of(c.Ref.Link)
	if err != nil {
		return nil, mod, false
	}
	var out place
	if c.Session != 0 {
		if out, err = p.of(c.Rule.Out); err != nil || out.bridge != in.bridge {
			return nil, mod, false
		}
	}
	return in.bridge, d.prolongation(c, in.port, out.port), true
}
