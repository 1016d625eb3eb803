package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

// How much a probe inserts to measure, and for how long at most.
const (
	singles     = 200
	bulk        = 2000
	chunk       = 64 // as an agent sends them: eswitch.Config.Chunk
	singlesTime = time.Second
	bulkTime    = 2 * time.Second
)

// slow is a rate, in rules per second, below which elephants wait for each other.
const slow = 200

// rates measures how long one rule takes, and how many rules a second take.
func (p *prober) rates(ctx context.Context) []Line {
	one, errOne := p.single(ctx, time.Now().Add(singlesTime))
	many, errMany := p.inBulk(ctx, time.Now().Add(bulkTime))
	lines := []Line{one.line("one by one", errOne)}
	return append(lines, many.line("insertions", errMany), many.deletions())
}

// rate is a measurement.
type rate struct {
	latencies []time.Duration // of single insertions
	inserted  int
	took      time.Duration
	deleted   int
	undone    time.Duration
	p50, p99  time.Duration
}

// single inserts rules one by one and removes them.
func (p *prober) single(ctx context.Context, ends time.Time) (r rate, err error) {
	began := time.Now()
	for n := range singles {
		if !time.Now().Before(ends) {
			break
		}
		c := []eswitch.Change{p.change(probeTuple(flows.TCP, false, 100+n), flows.Orig, 100+n)}
		sent := time.Now()
		if p.add(ctx, c); c[0].Err != nil {
			err = c[0].Err
			break
		}
		r.latencies = append(r.latencies, time.Since(sent))
	}
	r.took, r.inserted = time.Since(began), len(r.latencies)
	slices.Sort(r.latencies)
	if n := len(r.latencies); n > 0 {
		r.p50, r.p99 = r.latencies[n/2], r.latencies[n*99/100]
	}
	return r, errors.Join(err, p.removeAll(ctx))
}

// inBulk inserts and removes as many as an agent would in a burst.
func (p *prober) inBulk(ctx context.Context, ends time.Time) (r rate, err error) {
	var refs []eswitch.Ref
	began := time.Now()
	for n := 0; n < bulk && err == nil && time.Now().Before(ends); n += chunk {
		var c []eswitch.Change
		for i := range chunk {
			c = append(c, p.change(probeTuple(flows.TCP, false, 1000+n+i), flows.Orig, 1000+n+i))
		}
		p.add(ctx, c)
		for i := range c {
			if c[i].Err != nil {
				err = c[i].Err
			} else {
				refs = append(refs, c[i].Ref)
			}
		}
	}
	r.took, r.inserted = time.Since(began), len(refs)
	began = time.Now()
	for some := range slices.Chunk(refs, chunk) {
		err = errors.Join(err, p.remove(context.WithoutCancel(ctx), some))
	}
	r.undone, r.deleted = time.Since(began), len(refs)
	return r, err
}

func perSecond(n int, d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int(float64(n) / d.Seconds())
}

func (r rate) line(name string, err error) Line {
	found := fmt.Sprintf("%d rules, %d per second", r.inserted, perSecond(r.inserted, r.took))
	if len(r.latencies) > 0 {
		found += fmt.Sprintf(", p50 %v, p99 %v", round(r.p50), round(r.p99))
	}
	switch {
	case err != nil && ctxDone(err):
		return unknown(name, err)
	case errors.Is(err, eswitch.ErrFull):
		return warning(name, "%s, then the table was full: %s", found, words(err)).
			why("no more sessions than that can be offloaded; an agent learns it").fix("flowshuntd --capacity=N")
	case err != nil:
		return warning(name, "%s, then: %s", found, words(err)).why("the driver takes a rule now and refuses the next")
	case perSecond(r.inserted, r.took) < slow:
		return warning(name, "%s", found).
			why("elephants wait for each other to get into the table; their removal may take as long").
			fix("flowshuntd --insert-rate=N")
	}
	return ok(name, "%s", found)
}

func (r rate) deletions() Line {
	const name = "deletions"
	found := fmt.Sprintf("%d rules, %d per second", r.deleted, perSecond(r.deleted, r.undone))
	if r.deleted > 0 && perSecond(r.deleted, r.undone) < slow {
		return warning(name, "%s", found).why("what is revoked leaves the table that slowly")
	}
	return ok(name, "%s", found)
}

func round(d time.Duration) time.Duration {
	if d > time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
