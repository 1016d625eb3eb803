package flower

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// Links implements eswitch.Driver: the devices that have a qdisc to hang filters
// on. Rules end up below an ingress qdisc if somebody exchanges our clsact for it.
func (d *Driver) Links(ctx context.Context) (links []int32, err error) {
	err = d.with(ctx, func(w *worker) error {
		return w.conn.Qdiscs(ctx, func(q tc.Qdisc) error {
			if q.OnIngress() {
				links = append(links, q.Link)
			}
			return nil
		})
	})
	return links, err
}

// Rules implements eswitch.Driver.
func (d *Driver) Rules(ctx context.Context, scope eswitch.Scope, fn func(*eswitch.Found)) error {
	return d.with(ctx, func(w *worker) error { return d.read(ctx, w, scope, fn) })
}

// read dumps preference by preference, so that the kernel does not even look at
// the filters of others.
func (d *Driver) read(ctx context.Context, w *worker, scope eswitch.Scope, fn func(*eswitch.Found)) error {
	if scope.Class != 0 {
		return d.readClass(ctx, w, scope, fn)
	}
	for c := 1; c <= eswitch.AllClasses; c++ {
		scope.Class = eswitch.Class(c)
		if err := d.readClass(ctx, w, scope, fn); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) readClass(ctx context.Context, w *worker, scope eswitch.Scope, fn func(*eswitch.Found)) error {
	pref, ok := d.preference(scope.Class)
	if !ok {
		return nil
	}
	var found eswitch.Found
	ours := func(f *tc.Filter) error {
		if d.decode(f, scope.Detail, &found) {
			fn(&found)
		}
		return nil
	}
	s := tc.Scope{
		Link: scope.Link, Parent: tc.Ingress, Pref: pref, OnChain: true, Terse: !scope.Detail,
	}
	err := w.conn.Filters(ctx, s, ours)
	if s.Terse && errors.Is(err, unix.EMSGSIZE) {
		// A classifier that has no terse form stands there. A preference has one
		// classifier: nothing of ours was reported yet.
		s.Terse = false
		err = w.conn.Filters(ctx, s, ours)
	}
	return err
}
