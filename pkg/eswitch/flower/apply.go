package flower

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// Apply implements eswitch.Driver.
func (d *Driver) Apply(ctx context.Context, changes []eswitch.Change) {
	err := d.with(ctx, func(w *worker) error {
		d.apply(ctx, w, changes)
		return nil
	})
	if err != nil { // no worker in time
		for i := range changes {
			changes[i].Err = err
		}
	}
}

func (d *Driver) apply(ctx context.Context, w *worker, changes []eswitch.Change) {
	w.batch.Reset()
	w.sent = w.sent[:0]
	for i := range changes {
		c := &changes[i]
		c.InHW = false
		req := sent{i, d.flagsOf(c)}
		if c.Err = d.request(w, c, req); c.Err == nil {
			w.sent = append(w.sent, req)
		}
	}
	if cap(w.results) < len(w.sent) {
		w.results = make([]tc.Result, len(w.sent))
	}
	w.results = w.results[:len(w.sent)]
	_ = w.conn.Do(ctx, &w.batch, w.results) // each result says it
	for n, req := range w.sent {
		if c := &changes[req.change]; c.Op == eswitch.Add {
			d.added(c, req, &w.results[n])
		} else {
			c.Err = w.results[n].Err
		}
	}
	// What needs the worker for requests of its own comes last.
	for _, req := range w.sent {
		d.settle(ctx, w, &changes[req.change], req)
	}
	d.tellFull(changes)
}

// tellFull takes what was refused behind a curtain for a matter of room where another rule
// of its session was: the kernel does not pass on the driver's number there.
func (d *Driver) tellFull(changes []eswitch.Change) {
	for i := range changes {
		c := &changes[i]
		if c.Session == 0 || !d.hasCurtain(c.Ref.Link) || !errors.Is(c.Err, eswitch.ErrNotOffloaded) {
			continue
		}
		for j := range changes {
			if changes[j].Session == c.Session && errors.Is(changes[j].Err, eswitch.ErrFull) {
				c.Err = fmt.Errorf("%w: %w", eswitch.ErrFull, c.Err)
				break
			}
		}
	}
}

// flagsOf returns those of a rule that is added.
func (d *Driver) flagsOf(c *eswitch.Change) tc.FilterFlags {
	switch {
	case d.hasCurtain(c.Ref.Link):
		return tc.Verbose
	case d.hardwareOnly(c):
		return d.flags | tc.SkipSW
	}
	return d.flags
}

// request appends the request for one change to the worker's batch.
func (d *Driver) request(w *worker, c *eswitch.Change, req sent) error {
	if _, ok := d.preference(c.Ref.Class); !ok {
		return fmt.Errorf("%w: there is no preference for %s", eswitch.ErrRefused, c.Ref.Class)
	}
	if c.Op == eswitch.Delete {
		d.reference(&w.filter, c.Ref)
		return w.batch.DeleteFilter(&w.filter)
	}
	if err := d.encode(&w.filter, c, req.flags); err != nil {
		return err
	}
	how := uint16(tc.Exclusive)
	if req.asked() { // only then success does not say where the rule is
		how |= tc.Echo | tc.Ack
	}
	return w.batch.AddFilter(&w.filter, how)
}

// hardwareOnly reports whether hardware and the kernel need a rule in different words, or
// the kernel has none: then it is given to hardware alone first.
func (d *Driver) hardwareOnly(c *eswitch.Change) bool {
	return d.cfg.Mode == Both && (translates(&c.Rule) || portsOfUDP(&c.Rule))
}

// added takes the outcome of an Add.
func (d *Driver) added(c *eswitch.Change, req sent, r *tc.Result) {
	c.Err = classify(r.Err, req.hardwareAlone())
	switch {
	case c.Err != nil:
	case req.hardwareAlone():
		c.InHW = true // the kernel refuses it otherwise
	case req.asked():
		c.InHW = r.Filter != nil && r.Filter.Flags&tc.InHW != 0
		if (d.requiresHW() || c.Hardware) && !c.InHW {
			c.Err = fmt.Errorf("%w: not_in_hw %s", eswitch.ErrNotOffloaded, r.Warning)
		}
	}
}

func (d *Driver) requiresHW() bool { return d.cfg.Mode == SkipSW || d.cfg.RequireHW }

// classify puts the sentinel that callers look for into the chain of an error.
func classify(err error, hardwareAlone bool) error {
	var refusal *tc.Error
	if err == nil {
		return nil
	}
	if !errors.As(err, &refusal) {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, eswitch.ErrRefused) {
			return err // was not sent
		}
		return fmt.Errorf("%w: %w", eswitch.ErrUnknown, err)
	}
	switch refusal.Errno {
	case unix.ENOSPC:
		return fmt.Errorf("%w: %w", eswitch.ErrFull, err)
	case unix.ENODEV:
		return fmt.Errorf("%w: %w", eswitch.ErrPortGone, err)
	case unix.EEXIST:
		return fmt.Errorf("%w: %w", eswitch.ErrExists, err)
	case unix.ENOENT: // there is no such classifier or action
		return fmt.Errorf("%w: %w", eswitch.ErrNotSupported, err)
	case unix.EPERM, unix.ENOMEM:
		return err
	}
	if hardwareAlone { // drivers refuse with whatever number they like
		return fmt.Errorf("%w: %w", eswitch.ErrNotOffloaded, err)
	}
	return err
}

// settle finishes what one answer of the kernel does not decide.
func (d *Driver) settle(ctx context.Context, w *worker, c *eswitch.Change, req sent) {
	switch {
	case c.Err == nil:
	case c.Op == eswitch.Delete:
		c.Err = d.deleted(ctx, w, c)
	case errors.Is(c.Err, unix.EINVAL) && !hasClsact(ctx, w, c.Ref.Link):
		// The kernel's number for a missing qdisc is that for everything that is wrong.
		var refusal *tc.Error
		_ = errors.As(c.Err, &refusal)
		c.Err = fmt.Errorf("%w: %w", eswitch.ErrNotPrepared, refusal)
	case !errors.Is(c.Err, eswitch.ErrNotOffloaded):
	case req.asked():
		c.Err = d.withdraw(ctx, w, c)
	case d.cfg.Mode == Both:
		c.Err = d.fallBack(ctx, w, c, c.Err)
	}
}

// withdraw takes out again what no hardware took, and asks once more for hardware
// alone: only that makes the kernel pass on the driver's number, by which a full table
// is told from what the driver cannot do. Behind a curtain it cannot be asked so.
func (d *Driver) withdraw(ctx context.Context, w *worker, c *eswitch.Change) error {
	_, err := w.do(ctx, d.deletion(w, c))
	switch {
	case err != nil && !errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w; %w: %w", c.Err, eswitch.ErrUnknown, err)
	case d.cfg.Mode == SkipSW:
		return c.Err
	}
	return d.fallBack(ctx, w, c, classify(d.addOnly(ctx, w, c, tc.SkipSW), true))
}

// fallBack takes the outcome of asking for hardware alone. What the driver cannot do the
// kernel may do instead, unless hardware is required.
func (d *Driver) fallBack(ctx context.Context, w *worker, c *eswitch.Change, err error) error {
	switch {
	case err == nil: // it has room now
		c.InHW = true
		return nil
	case d.cfg.RequireHW || !errors.Is(err, eswitch.ErrNotOffloaded):
		return err
	}
	software := classify(d.addOnly(ctx, w, c, tc.SkipHW), false)
	if errors.Is(software, eswitch.ErrRefused) {
		return fmt.Errorf("%w; %w", err, software)
	}
	return software
}

// addOnly adds a rule with a flag that leaves somebody out.
func (d *Driver) addOnly(ctx context.Context, w *worker, c *eswitch.Change, flag tc.FilterFlags) error {
	_, err := w.do(ctx, func(b *tc.Batch) error {
		if err := d.encode(&w.filter, c, d.flags|flag); err != nil {
			return err
		}
		return b.AddFilter(&w.filter, tc.Exclusive)
	})
	return err
}

func (d *Driver) deletion(w *worker, c *eswitch.Change) func(*tc.Batch) error {
	return func(b *tc.Batch) error {
		d.reference(&w.filter, c.Ref)
		return b.DeleteFilter(&w.filter)
	}
}

// deleted says whether an error of a deletion matters. Without the filter, the
// preference or the device the kernel says so; without the qdisc, or with a
// foreign filter at the preference, it says EINVAL: then the rule is looked for.
func (d *Driver) deleted(ctx context.Context, w *worker, c *eswitch.Change) error {
	if errors.Is(c.Err, unix.ENOENT) || errors.Is(c.Err, unix.ENODEV) {
		return nil
	}
	there := false
	err := d.read(ctx, w, eswitch.Scope{Link: c.Ref.Link, Class: c.Ref.Class}, func(f *eswitch.Found) {
		there = there || f.Ref == c.Ref
	})
	if there || err != nil {
		return c.Err
	}
	return nil
}

func hasClsact(ctx context.Context, w *worker, link int32) bool {
	r, err := w.do(ctx, func(b *tc.Batch) error { return b.GetIngressQdisc(link) })
	return err == nil && r.Qdisc != nil && r.Qdisc.Kind == tc.KindClsact
}
