package check

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

// prober is one probe.
type prober struct {
	driver  eswitch.Driver
	raw     rawRules
	in, out device
	tunnels []device // that packets can leave in, or come in from
	release []int32  // ports that had no qdisc
	made    map[eswitch.Ref]bool
	rules   int
}

// ends are the devices, one or two.
func (p *prober) ends() []device {
	if p.in.index == p.out.index {
		return []device{p.in}
	}
	return []device{p.in, p.out}
}

// run probes and cleans up, whatever happens.
func (p *prober) run(ctx context.Context) (lines []Line) {
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
		defer cancel()
		lines = append(lines, p.cleanUp(after))
	}()
	l := p.prepare(ctx)
	if lines = append(lines, l); l.Status != OK {
		return lines
	}
	classes, taken := p.classes(ctx)
	lines = append(append(lines, p.pair(ctx)), classes...)
	if taken && ctx.Err() == nil {
		lines = append(lines, p.kinds(ctx)...)
	}
	if taken && ctx.Err() == nil {
		lines = append(lines, p.rates(ctx)...)
	}
	if ctx.Err() != nil {
		lines = append(lines, unknown("rest", fmt.Errorf("not probed: %w", ctx.Err())))
	}
	return lines
}

// prepare makes the qdiscs, and removes what an earlier probe left.
func (p *prober) prepare(ctx context.Context) Line {
	const name = "port"
	for _, end := range p.ends() {
		err := p.driver.Prepare(ctx, end.index)
		switch {
		case err == nil:
			err = p.sweep(ctx, end.index)
		case denied(err):
			l := fatal(name, "%s: %s", end.Name, oneLine(err.Error()))
			return l.why("rules can be made by root only").fix("run flowshuntctl check --probe as root")
		}
		if err != nil {
			return fatal(name, "%s: %s", end.Name, oneLine(err.Error())).
				why("an agent could not use this port either").
				fix("tc qdisc show dev "+end.Name, "tc filter show dev "+end.Name+" ingress")
		}
	}
	d, err := readDriver(p.in.Name)
	if err != nil {
		d.name = "not told"
	}
	found := fmt.Sprintf("%s to %s, driver %s", p.in.Name, p.out.Name, d.name)
	if p.in.SwitchID == "" {
		found += ", on no eswitch"
	}
	return ok(name, "%s", found)
}

func (p *prober) sweep(ctx context.Context, link int32) error {
	err := p.driver.Rules(ctx, eswitch.Scope{Link: link}, func(f *eswitch.Found) {
		ours := f.Session >= probeSession || f.Session == 0 && f.Ref.Handle >= probeHandle // an agent's guards may stand there
		if ours {
			p.made[f.Ref] = true
		}
	})
	if err != nil {
		return err
	}
	return p.removeAll(ctx)
}

// cleanUp removes what is left and says whether all is gone.
func (p *prober) cleanUp(ctx context.Context) Line {
	const name = "cleaned up"
	err := p.removeAll(ctx)
	for _, link := range p.release {
		err = errors.Join(err, p.driver.Release(ctx, link))
	}
	if err != nil {
		return fatal(name, "%s", oneLine(err.Error())).why("rules of the probe are left; no packet matches them").
			fix("flowshuntctl audit", "flowshuntctl flush")
	}
	return ok(name, "%s inserted and removed", plural(p.rules, "rule", "rules"))
}

// add inserts rules in one batch. Each has its error.
func (p *prober) add(ctx context.Context, changes []eswitch.Change) {
	p.driver.Apply(ctx, changes)
	for i := range changes {
		if c := &changes[i]; c.Err == nil || errors.Is(c.Err, eswitch.ErrUnknown) {
			p.made[c.Ref] = true
			p.rules++
		}
	}
}

// remove deletes rules in one batch and returns the first error.
func (p *prober) remove(ctx context.Context, refs []eswitch.Ref) error {
	changes := make([]eswitch.Change, len(refs))
	for i, ref := range refs {
		changes[i] = eswitch.Change{Op: eswitch.Delete, Ref: ref, Rule: flows.Rule{In: ref.Link}}
	}
	p.driver.Apply(ctx, changes)
	var err error
	for i := range changes {
		if changes[i].Err == nil {
			delete(p.made, changes[i].Ref)
		} else if err == nil {
			err = fmt.Errorf("handle %#x: %w", changes[i].Ref.Handle, changes[i].Err)
		}
	}
	return err
}

func (p *prober) removeAll(ctx context.Context) error {
	var refs []eswitch.Ref
	for ref := range p.made {
		refs = append(refs, ref)
	}
	return p.remove(ctx, refs)
}
