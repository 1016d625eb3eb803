package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/control"
)

const (
	// maxOrders bounds the connections that one order is about.
	maxOrders = 1 << 16
	// offloadTime is how long an order to offload waits for what becomes of it; the others wait
	// until the rules are out, as long as the caller does.
	offloadTime = 3 * time.Second
	// markTime is how long is waited for the mark.
	markTime = time.Second
	// lookAgain is the time between two looks at what becomes of an order.
	lookAgain = 20 * time.Millisecond
)

// target is a conntrack entry that an order is about.
type target struct {
	key    flows.EntryKey
	rec    *flows.Entry    // as just read; nil: it is only known to be followed
	before flows.SessionID // when the order came; 0: none
	state  engine.OrderState
}

// Order implements control.Backend.
func (b *backend) Order(ctx context.Context, o control.Order) ([]control.Ordered, error) {
	at := b.loop.clock.now()
	targets, missing, err := b.targets(ctx, &o)
	if err != nil {
		return nil, err
	}
	if o.DryRun {
		err = b.foresee(ctx, &o, targets)
	} else if err = b.give(ctx, &o, at, targets); err == nil {
		b.watchOrder(ctx, &o, targets)
	}
	if err != nil {
		return nil, err
	}
	list := make([]control.Ordered, 0, len(targets)+len(missing))
	for i := range targets {
		list = append(list, b.outcome(&o, &targets[i]))
	}
	for _, t := range missing {
		list = append(list, control.Ordered{Key: flows.EntryKey{Tuple: t}, Outcome: control.OutcomeRefused, Reason: flows.Gone})
	}
	b.logOrder(&o, list)
	return list, nil
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

// hasTuple reports whether an entry has a tuple in either direction.
func hasTuple(e *flows.Entry, t flows.Tuple) bool {
	back := t.Reverse()
	return e.Key.Tuple == t || e.Key.Tuple == back || e.Reply == t || e.Reply == back
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
	return b.read(ctx, families, func(e *flows.Entry) bool { return wanted[e.Key.Tuple] || wanted[e.Reply] })
}

func familyOf(t flows.Tuple) conntrack.Family {
	if t.IsIPv6() {
		return conntrack.IPv6
	}
	return conntrack.IPv4
}

// read dumps conntrack and returns what is meant.
func (b *backend) read(ctx context.Context, families map[conntrack.Family]bool, meant func(*flows.Entry) bool) (found []flows.Entry, err error) {
	take := func(e *flows.Entry) error {
		if meant(e) && len(found) <= maxOrders {
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
	return found, b.user.find(ctx, nil, take)
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

// foresee tells of each what would become of the order.
func (b *backend) foresee(ctx context.Context, o *control.Order, targets []target) error {
	unread, families := make(map[flows.EntryKey]int), make(map[conntrack.Family]bool)
	for i := range targets {
		if targets[i].rec == nil {
			unread[targets[i].key] = i
			families[familyOf(targets[i].key.Tuple)] = true
		}
	}
	found, err := b.read(ctx, families, func(e *flows.Entry) bool { _, ok := unread[e.Key]; return ok })
	if err != nil {
		return err
	}
	for i := range found {
		targets[unread[found[i].Key]].rec = &found[i]
	}
	return b.loop.ask(ctx, func(e *engine.Engine) {
		for i := range targets {
			if t := &targets[i]; t.rec != nil {
				t.state = e.Foresee(engine.OrderKind(o.Kind), o.Unmark, t.rec)
			} else {
				t.state = engine.OrderState{Outcome: engine.OrderRefused, Reason: flows.Gone}
			}
		}
	})
}

// give hands an order to the engine, and returns when that has it.
func (b *backend) give(ctx context.Context, o *control.Order, at flows.Instant, targets []target) error {
	ev := engine.Ordered{Kind: engine.OrderKind(o.Kind), For: o.For, Unmark: o.Unmark, At: at}
	for _, t := range targets {
		if t.rec != nil {
			ev.Entries = append(ev.Entries, *t.rec)
		} else {
			ev.Keys = append(ev.Keys, t.key)
		}
	}
	err := b.loop.ask(ctx, func(e *engine.Engine) {
		for i := range targets {
			targets[i].before = e.OrderState(ev.Kind, targets[i].key).Session
		}
	})
	if err != nil {
		return err
	}
	taken := make(chan struct{})
	b.loop.inbox.put(message{at: b.loop.clock.now(), event: ev, done: func() { close(taken) }})
	select {
	case <-taken:
		return nil
	case <-b.loop.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watchOrder waits until it is settled what becomes of an order, or for as long as may be.
func (b *backend) watchOrder(ctx context.Context, o *control.Order, targets []target) {
	began := time.Now()
	if o.Kind == control.OrderOffload {
		short, cancel := context.WithTimeout(ctx, offloadTime)
		defer cancel()
		ctx = short
	}
	for {
		busy := false
		err := b.loop.ask(context.WithoutCancel(ctx), func(e *engine.Engine) {
			for i := range targets {
				busy = b.lookAt(e, o, &targets[i], time.Since(began)) || busy
			}
		})
		if !busy || err != nil || ctx.Err() != nil {
			return
		}
		pause(ctx, lookAgain)
	}
}

// lookAt looks what has become of the order about one entry, and reports whether more is to
// come.
func (b *backend) lookAt(e *engine.Engine, o *control.Order, t *target, waited time.Duration) bool {
	t.state = e.OrderState(engine.OrderKind(o.Kind), t.key)
	if o.Kind == control.OrderOffload {
		return t.state.Busy
	}
	if e.HasRules(t.before) {
		t.state.Outcome, t.state.Busy, t.state.Detail = engine.OrderWaits, true, "its rules are on their way out"
	}
	unmarked := b.cfg.Engine.Mark.Remembers() && !t.state.Remembered && t.state.Outcome != engine.OrderRefused
	return t.state.Busy || unmarked && waited < markTime
}

func (b *backend) outcome(o *control.Order, t *target) control.Ordered {
	r := control.Ordered{
		Key: t.key, Session: t.state.Session, Outcome: control.Outcome(t.state.Outcome),
		Reason: t.state.Reason, Detail: t.state.Detail, Remembered: t.state.Remembered,
	}
	if o.Kind == control.OrderOffload || r.Remembered || r.Outcome != control.OutcomeDone {
		return r
	}
	r.Detail = "the mark could not be written: another agent would not know"
	if !b.cfg.Engine.Mark.Remembers() {
		r.Detail = "no --mark-never: another agent would not know"
	}
	return r
}

// maxNamed bounds the connections that a line of the log names.
const maxNamed = 16

// logOrder leaves a trace of who has ordered what.
func (b *backend) logOrder(o *control.Order, list []control.Ordered) {
	var n [control.OutcomeRefused + 1]int
	var named []string
	for i := range list {
		n[min(list[i].Outcome, control.OutcomeRefused)]++
		if len(named) < maxNamed {
			named = append(named, fmt.Sprintf("%s zone %d", list[i].Key.Tuple, list[i].Key.Zone))
		}
	}
	if len(list) > len(named) {
		named = append(named, fmt.Sprintf("and %d more", len(list)-len(named)))
	}
	b.log.Info("order", "component", "control", "what", o.Kind.String(), "by", o.By, "for", o.For, "unmark", o.Unmark, "dry-run", o.DryRun,
		"done", n[control.OutcomeDone], "waits", n[control.OutcomeWaits], "refused", n[control.OutcomeRefused], "connections", strings.Join(named, "; "))
}
