package agent

import (
	"context"
	"errors"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/dpctl"
)

// conntables are the connections of the kernel and of the userspace datapath, as one
// table.
type conntables struct {
	kernel, userspace table
}

// inUserspace tells whose an entry is.
func inUserspace(key flows.EntryKey) bool { return key.ID == dpctl.EntryID }

// Get implements table.
func (c *conntables) Get(ctx context.Context, keys []flows.EntryKey, f conntrack.Answer) error {
	return each(c, keys, func(k flows.EntryKey) flows.EntryKey { return k },
		func(t table, mine []flows.EntryKey, f conntrack.Answer) error { return t.Get(ctx, mine, f) }, f)
}

// Update implements table.
func (c *conntables) Update(ctx context.Context, updates []conntrack.Update, f conntrack.Answer) error {
	return each(c, updates, func(u conntrack.Update) flows.EntryKey { return u.Key },
		func(t table, mine []conntrack.Update, f conntrack.Answer) error { return t.Update(ctx, mine, f) }, f)
}

// Refresh implements table.
func (c *conntables) Refresh(ctx context.Context, refreshes []conntrack.Refresh, f conntrack.Answer) error {
	return each(c, refreshes, func(r conntrack.Refresh) flows.EntryKey { return r.Key },
		func(t table, mine []conntrack.Refresh, f conntrack.Answer) error { return t.Refresh(ctx, mine, f) }, f)
}

// each lets either table do its part of a request. What one fails at as a whole is an
// error of each entry of it, so that it does not concern the other's.
func each[T any](c *conntables, all []T, key func(T) flows.EntryKey, request func(table, []T, conntrack.Answer) error, f conntrack.Answer) error {
	var parts [2][]T
	var at [2][]int
	for i, item := range all {
		n := 0
		if inUserspace(key(item)) {
			n = 1
		}
		parts[n], at[n] = append(parts[n], item), append(at[n], i)
	}
	if len(parts[1]) == 0 {
		return request(c.kernel, all, f)
	}
	err := request(c.userspace, parts[1], func(i int, e *flows.Entry, err error) { f(at[1][i], e, err) })
	if err != nil {
		for _, i := range at[1] {
			f(i, nil, err)
		}
	}
	if len(parts[0]) == 0 {
		return nil
	}
	return request(c.kernel, parts[0], func(i int, e *flows.Entry, err error) { f(at[0][i], e, err) })
}

// dumps reads the tables of the kernel and of the userspace datapath.
type dumps struct {
	kernel    *conntrack.Conn
	userspace *userspaceConns
}

// Dump calls fn with each entry that saw a reply. That one table could not be read, or
// not in full, is conntrack.ErrDumpInterrupted where the other was read.
func (d *dumps) Dump(ctx context.Context, fn func(*flows.Entry) error) error {
	err := d.kernel.Dump(ctx, conntrack.Replied, fn)
	if err != nil && !errors.Is(err, conntrack.ErrDumpInterrupted) {
		return err
	}
	if d.userspace.Dump(ctx, fn) != nil { // which has told its health
		return conntrack.ErrDumpInterrupted
	}
	return err
}
