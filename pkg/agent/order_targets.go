package agent

import (
	"context"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// maxOrders bounds the connections that one order is about.
const maxOrders = 1 << 16

// target is a conntrack entry that an order is about.
type target struct {
	key    flows.EntryKey
	rec    *flows.Entry    // as just read; nil: it is only known to be followed
	before flows.SessionID // when the order came; 0: none
	state  engine.OrderState
}

// targets finds the entries that are meant, each once, and the tuples of which there is none.
func (b *backend) targets(ctx context.Context, o *control.Order) (list []target, missing []flows.Tuple, err error) {
	found, err := b.findTuples(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	known := make(map[flows.EntryKey]bool)
	for i := range found {
		if key := found[i].Key; !known[key] {
			known[key] = true
			list = append(list, target{key: key, rec: &found[i]})
		}
	}
	for _, t := range o.Tuples {
		if !anyHas(found, t) {
			missing = append(missing, t)
		}
	}
	keys, err := b.matching(ctx, o.Filter)
	for _, key := range keys {
		if !known[key] {
			list = append(list, target{key: key})
		}
	}
	if len(list) > maxOrders {
		return nil, nil, fmt.Errorf("the order is about %d connections, and at most %d are possible at once: narrow the filter", len(list), maxOrders)
	}
	return list, missing, err
}

func anyHas(found []flows.Entry, t flows.Tuple) bool {
	for i := range found {
		if hasTuple(&found[i], t) {
			return true
		}
	}
	return false
}

// findTuples reads the entries of the tuples from conntrack; where the zone is not known,
// with one dump for all.
func (b *backend) findTuples(ctx context.Context, o *control.Order) (found []flows.Entry, err error) {
	if o.Zone != nil || len(o.Tuples) == 1 {
		for _, t := range o.Tuples {
			some, err := b.find(ctx, control.Question{Tuple: t, Zone: o.Zone})
			if err != nil {
				return nil, err
			}
			found = append(found, some...)
		}
		return found, nil
	}
	wanted, families := make(map[flows.Tuple]bool), make(map[conntrack.Family]bool)
	for _, t := range o.Tuples {
		wanted[t], wanted[t.Reverse()] = true, true
		families[familyOf(t)] = true
	}
	return b.read(ctx, families, maxOrders+1, func(e *flows.Entry) bool { return wanted[e.Key.Tuple] || wanted[e.Reply] })
}

// matching returns the followed entries that pass a filter.
func (b *backend) matching(ctx context.Context, f *control.Filter) (keys []flows.EntryKey, err error) {
	if f == nil {
		return nil, nil
	}
	var views []engine.View
	if err := b.loop.ask(ctx, func(e *engine.Engine) { views = e.Followed() }); err != nil {
		return nil, err
	}
	for i := range views {
		if s := b.session(&views[i]); f.Match(&s) {
			keys = append(keys, views[i].Key)
		}
	}
	return keys, nil
}
