package openflow

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// batch is what is sent to one bridge.
type batch struct {
	bridge  *bridge
	mods    []of.FlowMod
	changes []*eswitch.Change // of each of mods: a guard takes several
}

func (b *batch) add(c *eswitch.Change, mods ...of.FlowMod) {
	for _, mod := range mods {
		b.mods, b.changes = append(b.mods, mod), append(b.changes, c)
	}
}

// Apply implements eswitch.Driver. What is for one bridge goes there as one bundle,
// so that OVS looks at its datapath once, and no packet meets half of a session. Where
// it refuses that, each change is sent by itself, to see which it is.
func (d *Driver) Apply(ctx context.Context, changes []eswitch.Change) {
	p := d.places(ctx)
	var batches []*batch
	byBridge := make(map[*bridge]*batch)
	put := func(b *bridge) *batch {
		if byBridge[b] == nil {
			byBridge[b] = &batch{bridge: b}
			batches = append(batches, byBridge[b])
		}
		return byBridge[b]
	}
	for i := range changes {
		c := &changes[i]
		c.InHW = false
		if c.Err = ctx.Err(); c.Err == nil {
			c.Err = d.sort(ctx, c, p, put)
		}
	}
	for _, b := range batches {
		d.send(ctx, b)
	}
}

// sort puts a change into the batch of its bridge.
func (d *Driver) sort(ctx context.Context, c *eswitch.Change, p *places, put func(*bridge) *batch) error {
	if c.Op == eswitch.Delete {
		bridges, err := d.bridgesOf(c.Ref)
		for _, bridge := range bridges {
			put(bridge).add(c, deletion(c.Ref.Handle))
		}
		return err
	}
	in, out, err := d.ends(c, p)
	if err == nil {
		err = in.bridge.leavesAside(ctx)
	}
	if err == nil && (isTunnelLink(c.Rule.In) || isTunnelLink(c.Rule.Out)) {
		err = in.bridge.leavesOptions()
	}
	if err != nil {
		return err
	}
	mods := d.additions(c, in.port, out.port)
	if err := d.reserve(ctx, c.Ref.Handle, in.bridge, mods[0].Match); err != nil {
		return err
	}
	put(in.bridge).add(c, mods...)
	return nil
}

// bridgesOf returns where a rule may stand.
func (d *Driver) bridgesOf(ref eswitch.Ref) ([]*bridge, error) {
	d.mu.Lock()
	if s, ok := d.known[ref.Handle]; ok {
		defer d.mu.Unlock()
		return []*bridge{d.bridge(s.bridge)}, nil
	}
	d.mu.Unlock()
	return d.all()
}

// ends returns the ports of a rule that is to be added.
func (d *Driver) ends(c *eswitch.Change, p *places) (in, out place, err error) {
	if err := sayable(&c.Rule); err != nil {
		return in, out, err
	}
	if in, err = p.of(c.Ref.Link); err != nil {
		return in, out, err
	}
	if !d.isPrepared(c.Ref.Link) {
		return in, out, fmt.Errorf("ifindex %d: %w", c.Ref.Link, eswitch.ErrNotPrepared)
	}
	if c.Session == 0 {
		return in, out, nil
	}
	if out, err = p.of(c.Rule.Out); err != nil {
		return in, out, err
	}
	if in.bridge != out.bridge {
		return in, out, fmt.Errorf("%w say a way from bridge %s to %s", errCannot, in.bridge.name, out.bridge.name)
	}
	return in, out, nil
}

// reserve makes sure that no rule stands where one is to be added: a bridge would put
// the new in the place of the old. One that is remembered is looked for, since others
// may have deleted it, or its time may be over.
func (d *Driver) reserve(ctx context.Context, handle uint32, b *bridge, m of.Match) error {
	s := standing{b.name, m}
	if before := d.taken(s); before != 0 {
		there := false
		err := b.reads.with(ctx, func(c *of.Client) error {
			return c.Flows(ctx, of.Filter{Table: table, Cookie: cookieOf(before), CookieMask: wholeCookie},
				func(*of.Flow) error { there = true; return nil })
		})
		if err != nil {
			return err
		}
		if there {
			return eswitch.ErrExists
		}
		d.forget(before)
	}
	d.remember(handle, s)
	return nil
}

// send carries out a batch.
func (d *Driver) send(ctx context.Context, b *batch) {
	for len(b.mods) > 0 {
		n := min(len(b.mods), of.MaxBundle)
		d.sendSome(ctx, b.bridge, b.mods[:n], b.changes[:n])
		b.mods, b.changes = b.mods[n:], b.changes[n:]
	}
}

func (d *Driver) sendSome(ctx context.Context, b *bridge, mods []of.FlowMod, changes []*eswitch.Change) {
	errs := make([]error, len(mods))
	err := ctx.Err()
	sent := err == nil
	if sent {
		err = b.changes.with(ctx, func(c *of.Client) error {
			err := c.Bundle(ctx, mods)
			if _, refused := errors.AsType[*of.BundleError](err); refused {
				err = c.Change(ctx, mods, errs)
			}
			return err
		})
	}
	for i, c := range changes {
		d.outcome(ctx, c, errs[i], err, sent)
	}
	d.undo(ctx, b, changes)
}

// undo removes the flows of a guard that were made although others of it were refused.
func (d *Driver) undo(ctx context.Context, b *bridge, changes []*eswitch.Change) {
	var cookies []uint64
	for _, c := range changes {
		if c.Op == eswitch.Add && c.Session == 0 && c.Err != nil && !errors.Is(c.Err, eswitch.ErrUnknown) {
			cookies = append(cookies, cookieOf(c.Ref.Handle))
		}
	}
	if err := d.prune(ctx, b, cookies); err != nil {
		for _, c := range changes {
			if c.Op == eswitch.Add && c.Session == 0 && c.Err != nil {
				c.Err = errors.Join(c.Err, fmt.Errorf("%w: %w", eswitch.ErrUnknown, err))
			}
		}
	}
}

// outcome enters what became of a change: errOwn is what the bridge said of it, errAll
// why it did not answer.
func (d *Driver) outcome(ctx context.Context, c *eswitch.Change, errOwn, errAll error, sent bool) {
	switch {
	case errAll == nil:
		c.Err = errors.Join(c.Err, classify(errOwn))
	case c.Op == eswitch.Delete && isGone(errAll):
	case c.Op == eswitch.Add && sent:
		c.Err = unknown(ctx, errAll)
		return // may be there
	default:
		c.Err = errors.Join(c.Err, errAll)
	}
	if (c.Op == eswitch.Delete) == (c.Err == nil) {
		d.forget(c.Ref.Handle)
	}
}
