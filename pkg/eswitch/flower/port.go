package flower

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// markChain is an explicit, empty chain in every clsact that we created. It says
// so to the process that has to decide, perhaps after a crash, whether the clsact
// may go; a clsact has no other place for such a note. Packets never get there:
// nothing goes to it. The number is from the upper end of the 28 bits, away from
// OVS, which counts chains upward.
const markChain = 0x0f105047

// Prepare implements eswitch.Driver: it makes sure that the port has a clsact, and a curtain
// if it needs one, and that nobody else has filters at our preferences. It is called often: where the clsact
// was there it looks for others once in recheck only; but each time where a curtain would
// hide them.
//
// Whoever dies between the creation of the clsact and that of the mark leaves an
// empty clsact that is taken for somebody else's and stays.
func (d *Driver) Prepare(ctx context.Context, link int32) error {
	if err := CheckPreference(d.cfg.Preference); err != nil {
		return err
	}
	return d.with(ctx, func(w *worker) error {
		if err := d.prepare(ctx, w, link); err != nil {
			d.foreign.forget(link)
			return fmt.Errorf("ifindex %d: %w", link, err)
		}
		return nil
	})
}

func (d *Driver) prepare(ctx context.Context, w *worker, link int32) error {
	made, err := d.ensureClsact(ctx, w, link)
	if err != nil {
		return err
	}
	curtain, err := d.needsCurtain(ctx, link)
	if err != nil {
		return err
	}
	if d.foreign.due(link) || made || curtain {
		if err := d.checkForeign(ctx, w, link, curtain); err != nil {
			return err
		}
		if !curtain {
			return d.dropCurtain(ctx, w, link) // an earlier agent's
		}
	}
	if curtain {
		return d.drawCurtain(ctx, w, link)
	}
	return nil
}

// ensureClsact copes with others that create or delete a qdisc at the same time.
func (d *Driver) ensureClsact(ctx context.Context, w *worker, link int32) (made bool, err error) {
	for range 5 {
		_, err = w.do(ctx, func(b *tc.Batch) error { return b.AddClsact(link) })
		if err == nil {
			_, err = w.do(ctx, func(b *tc.Batch) error { return b.AddChain(link, tc.Ingress, markChain) })
			return true, err
		}
		if !errors.Is(err, unix.EEXIST) {
			return false, noClsact(err)
		}
		r, errGet := w.do(ctx, func(b *tc.Batch) error { return b.GetIngressQdisc(link) })
		switch {
		case errGet != nil:
			return false, noClsact(errGet)
		case r.Qdisc == nil:
			continue // gone again
		case r.Qdisc.Kind != tc.KindClsact:
			return false, fmt.Errorf("%w (qdisc %s)", eswitch.ErrIngress, r.Qdisc.Kind)
		}
		return false, nil
	}
	return false, err
}

// noClsact says in our words why there can be no clsact.
func noClsact(err error) error {
	switch {
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w: %w", eswitch.ErrPortGone, err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: %w", eswitch.ErrNotSupported, err)
	}
	return err
}

// checkForeign looks at all filters of the hook, our own among them, in their short form.
func (d *Driver) checkForeign(ctx context.Context, w *worker, link int32, curtain bool) error {
	var found eswitch.Found
	check := func(f *tc.Filter) error {
		class, ok := d.classAt(f.Pref)
		if !ok && curtain {
			return d.checkHidden(f)
		}
		empty := f.Handle == 0 && f.Kind == tc.KindFlower && f.Protocol == protocol(class) // what a preference itself is reported as
		if ok && !empty && !d.decode(f, false, &found) {
			return fmt.Errorf("%w: %s at preference %d", eswitch.ErrForeign, f.Kind, f.Pref)
		}
		return nil
	}
	s := tc.Scope{Link: link, Parent: tc.Ingress, OnChain: true, Terse: true}
	err := w.conn.Filters(ctx, s, check)
	if errors.Is(err, unix.EMSGSIZE) { // somebody's classifier has no short form
		s.Terse = false
		err = w.conn.Filters(ctx, s, check)
	}
	return err
}

// Release implements eswitch.Driver. A clsact goes only if it carries our mark
// and has no filter left on either hook, whose ever. Somebody who adds a filter
// between the look and the deletion loses it; the kernel has no way to say "delete
// if empty".
func (d *Driver) Release(ctx context.Context, link int32) error {
	d.foreign.forget(link)
	return d.with(ctx, func(w *worker) error {
		if err := d.liftCurtain(ctx, w, link); err != nil {
			return err
		}
		_, err := w.do(ctx, func(b *tc.Batch) error { return b.GetChain(link, tc.Ingress, markChain) })
		var refusal *tc.Error
		if errors.As(err, &refusal) {
			return nil // no device, no clsact or not our clsact
		}
		if err != nil {
			return err
		}
		used, err := inUse(ctx, w, link)
		if used || err != nil {
			return err
		}
		_, err = w.do(ctx, func(b *tc.Batch) error { return b.DeleteClsact(link) })
		if errors.As(err, &refusal) && !hasClsact(ctx, w, link) {
			return nil // somebody else was faster
		}
		return err
	})
}

var errUsed = errors.New("in use")

func inUse(ctx context.Context, w *worker, link int32) (bool, error) {
	for _, hook := range [...]uint32{tc.Ingress, tc.Egress} {
		err := w.conn.Filters(ctx, tc.Scope{Link: link, Parent: hook}, func(*tc.Filter) error { return errUsed })
		if err != nil {
			return err == errUsed, ignore(err, errUsed)
		}
	}
	return false, nil
}

func ignore(err, what error) error {
	if err == what {
		return nil
	}
	return err
}
