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
		c := &rules[i]
		in, err := p.of(c.Ref.Link)
		if err != nil {
			continue // it will be taken out, or end
		}
		out, err := p.of(c.Rule.Out)
		if err != nil || out.bridge != in.bridge {
			continue
		}
		mods[in.bridge] = append(mods[in.bridge], d.prolongation(c, out.port))
	}
	for b, list := range mods {
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
