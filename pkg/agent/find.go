package agent

import (
	"context"
	"errors"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// find reads the entries that have a tuple in either direction, of the kernel and of the
// userspace datapath.
func (b *backend) find(ctx context.Context, q control.Question) (found []flows.Entry, err error) {
	has := func(e *flows.Entry) bool { return hasTuple(e, q.Tuple) }
	if q.Zone == nil {
		return b.read(ctx, map[conntrack.Family]bool{familyOf(q.Tuple): true}, maxExplained, has)
	}
	take := func(e *flows.Entry) error {
		if has(e) && len(found) < maxExplained {
			found = append(found, *e)
		}
		return nil
	}
	e, err := b.conns.ask.Find(ctx, *q.Zone, q.Tuple)
	switch {
	case err == nil:
		_ = take(&e) // never fails
	case !errors.Is(err, conntrack.ErrNotFound):
		return nil, err
	}
	err = b.user.find(ctx, q.Zone, take)
	return found, err
}

// hasTuple reports whether an entry has a tuple in either direction.
func hasTuple(e *flows.Entry, t flows.Tuple) bool {
	back := t.Reverse()
	return e.Key.Tuple == t || e.Key.Tuple == back || e.Reply == t || e.Reply == back
}

func familyOf(t flows.Tuple) conntrack.Family {
	if t.IsIPv6() {
		return conntrack.IPv6
	}
	return conntrack.IPv4
}

// read dumps conntrack, of the kernel and of the userspace datapath, and returns what is meant,
// at most so many.
func (b *backend) read(ctx context.Context, families map[conntrack.Family]bool, most int, meant func(*flows.Entry) bool) (found []flows.Entry, err error) {
	take := func(e *flows.Entry) error {
		if meant(e) && len(found) < most {
			found = append(found, *e)
		}
		return nil
	}
	for family := range families {
		err := b.conns.ask.Dump(ctx, conntrack.Filter{Family: family}, take)
		if err != nil && !errors.Is(err, conntrack.ErrDumpInterrupted) {
			return nil, err
		}
	}
	if len(families) == 0 {
		return nil, nil
	}
	err = b.user.find(ctx, nil, take)
	return found, err
}
