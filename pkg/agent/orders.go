package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// maxNamed bounds the connections that a line of the log names.
const maxNamed = 16

// Order implements control.Backend.
func (b *backend) Order(ctx context.Context, o control.Order) ([]control.Ordered, error) {
	at := b.loop.clock.now()
	targets, missing, err := b.targets(ctx, &o)
	if err != nil {
		return nil, err
	}
	if o.DryRun {
		b.logOrder(&o, targets, missing)
		err = b.foresee(ctx, &o, targets)
	} else if err = b.give(ctx, &o, at, targets, missing); err == nil {
		err = b.watchOrder(ctx, &o, targets)
	}
	if err != nil && !errors.Is(err, control.ErrGiven) {
		return nil, err
	}
	list := make([]control.Ordered, 0, len(targets)+len(missing))
	for i := range targets {
		if targets[i].state.Outcome != 0 { // else nobody has looked any more
			list = append(list, b.outcome(&o, &targets[i]))
		}
	}
	for _, t := range missing {
		list = append(list, control.Ordered{Key: flows.EntryKey{Tuple: t}, Outcome: control.OutcomeRefused, Reason: flows.Gone})
	}
	b.logOutcome(&o, list, err)
	return list, err
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
	found, err := b.read(ctx, families, maxOrders+1, func(e *flows.Entry) bool { _, ok := unread[e.Key]; return ok })
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

// give hands an order to the engine, and returns when that has it. With control.ErrGiven it
// may have it.
func (b *backend) give(ctx context.Context, o *control.Order, at flows.Instant, targets []target, missing []flows.Tuple) error {
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
	b.logOrder(o, targets, missing) // before it is carried out, since nothing may be said after
	taken := make(chan struct{})
	b.loop.inbox.put(message{at: b.loop.clock.now(), event: ev, done: func() { close(taken) }})
	select {
	case <-taken:
		return nil
	case <-b.loop.ended:
		return given(errEnded)
	case <-ctx.Done():
		return given(ctx.Err())
	}
}

// given says why it is not known what became of an order.
func given(cause error) error { return fmt.Errorf("%w: %w", control.ErrGiven, cause) }

// logOrder leaves a trace of who orders what.
func (b *backend) logOrder(o *control.Order, targets []target, missing []flows.Tuple) {
	var named []string
	for i := range targets[:min(len(targets), maxNamed)] {
		named = append(named, fmt.Sprintf("%s zone %d", targets[i].key.Tuple, targets[i].key.Zone))
	}
	for _, t := range missing[:min(len(missing), maxNamed-len(named))] {
		named = append(named, t.String())
	}
	if more := len(targets) + len(missing) - len(named); more > 0 {
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	b.log.Info("order", "component", "control", "what", o.Kind.String(), "by", o.By, "for", o.For, "unmark", o.Unmark, "dry-run", o.DryRun,
		"connections", strings.Join(named, "; "))
}

// logOutcome leaves a trace of what became of it, as far as err lets that be known.
func (b *backend) logOutcome(o *control.Order, list []control.Ordered, err error) {
	var n [control.OutcomeRefused + 1]int
	for i := range list {
		n[min(list[i].Outcome, control.OutcomeRefused)]++
	}
	args := []any{"component", "control", "what", o.Kind.String(), "by", o.By, "dry-run", o.DryRun,
		"done", n[control.OutcomeDone], "waits", n[control.OutcomeWaits], "refused", n[control.OutcomeRefused]}
	if err != nil {
		b.log.Warn("order answered", append(args, "error", err)...)
		return
	}
	b.log.Info("order answered", args...)
}
