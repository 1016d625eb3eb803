package flower

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// Standing returns the devices of the namespace on which anything of ours stands, at the
// preferences of this configuration: a rule, a guard, a curtain or a clsact that we made,
// whoever of us. It goes on after errors.
func (d *Driver) Standing(ctx context.Context) (standing []int32, err error) {
	links, err := d.Links(ctx)
	errs := []error{err}
	for _, link := range links {
		err := d.with(ctx, func(w *worker) error {
			there, err := d.standsAt(ctx, w, link)
			if there {
				standing = append(standing, link)
			}
			return err
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("ifindex %d: %w", link, err))
		}
	}
	return standing, errors.Join(errs...)
}

func (d *Driver) standsAt(ctx context.Context, w *worker, link int32) (there bool, err error) {
	_, err = w.do(ctx, func(b *tc.Batch) error { return b.GetChain(link, tc.Ingress, markChain) })
	var refusal *tc.Error
	if !errors.As(err, &refusal) {
		return err == nil, err
	}
	if there, err = d.findCurtain(ctx, w, link); there || err != nil {
		return there, err
	}
	err = d.read(ctx, w, eswitch.Scope{Link: link}, func(*eswitch.Found) { there = true })
	return there, err
}
