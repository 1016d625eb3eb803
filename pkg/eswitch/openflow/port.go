package openflow

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// Prepare implements eswitch.Driver: the port must be one of a bridge that speaks
// OpenFlow 1.4, and whose pipeline leaves Aside alone. Nothing is changed there.
func (d *Driver) Prepare(ctx context.Context, link int32) error {
	at, err := d.places(ctx).of(link)
	if err == nil {
		err = at.bridge.leavesAside(ctx)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prepared[link] = true
	return nil
}

// Release implements eswitch.Driver.
func (d *Driver) Release(ctx context.Context, link int32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.prepared, link)
	return ctx.Err()
}

func (d *Driver) isPrepared(link int32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.prepared[link]
}

// Links implements eswitch.Driver: the ports that are prepared, and those that rules
// are for. Rules of ports that are gone go, as a kernel's do with the device.
func (d *Driver) Links(ctx context.Context) ([]int32, error) {
	d.mu.Lock()
	links := maps.Clone(d.prepared)
	d.mu.Unlock()
	bridges, err := d.all()
	errs := []error{err}
	p := d.places(ctx)
	for _, b := range bridges {
		strays, err := d.look(ctx, b, of.Filter{}, p, func(f *of.Flow, m *mark) { links[m.link] = true })
		if errors.Is(err, of.ErrNotRunning) || errors.Is(err, of.ErrVersion) || errors.Is(err, of.ErrSilent) {
			continue // no flow of ours is there, or it ends by itself as soon as the bridge answers
		}
		errs = append(errs, err, d.prune(ctx, b, strays))
	}
	return slices.Sorted(maps.Keys(links)), errors.Join(errs...)
}

// look calls fn with the flows of ours that are as they should be, and returns the
// cookies of the others: flows of ports that are gone, or whose number is another's
// now, and such as say nothing that can be understood.
func (d *Driver) look(ctx context.Context, b *bridge, filter of.Filter, p *places, fn func(*of.Flow, *mark)) (strays []uint64, err error) {
	filter.Table, filter.Cookie, filter.CookieMask = of.AllTables, cookieMagic<<32, magicMask
	var found []of.Flow
	err = b.reads.with(ctx, func(c *of.Client) error {
		found = found[:0]
		return c.Flows(ctx, filter, func(f *of.Flow) error {
			found = append(found, *f)
			last := &found[len(found)-1]
			last.Actions = cloneActions(f.Actions)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	for i := range found {
		f := &found[i]
		m, ok := markOf(f)
		if !ok {
			strays = append(strays, f.Cookie)
			continue
		}
		switch at, err := p.of(m.link); {
		case errors.Is(err, eswitch.ErrPortGone), err == nil && at != place{b, f.Match.InPort}:
			strays = append(strays, f.Cookie)
		case err != nil:
			return nil, err
		default:
			if f.Match.TTL == 0 { // of a guard's flows the first stands for all
				d.remember(m.handle, standing{b.name, f.Match})
			}
			fn(f, &m)
		}
	}
	return strays, nil
}

func cloneActions(actions []of.Action) []of.Action {
	actions = slices.Clone(actions)
	for i := range actions {
		actions[i] = actions[i].Clone()
	}
	return actions
}

// prune deletes flows of ours by their cookies.
func (d *Driver) prune(ctx context.Context, b *bridge, cookies []uint64) error {
	if len(cookies) == 0 {
		return nil
	}
	mods := make([]of.FlowMod, len(cookies))
	for i, cookie := range cookies {
		mods[i] = deletion(uint32(cookie))
		d.forget(uint32(cookie))
	}
	errs := make([]error, len(mods))
	err := b.changes.with(ctx, func(c *of.Client) error { return c.Change(ctx, mods, errs) })
	return errors.Join(append(errs, err)...)
}
