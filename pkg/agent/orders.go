package agent

import (
	"context"
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/control"
)

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
