package wire

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// decide plans what each wire shall be, by what the bridge has said.
func (w *worker) decide() {
	for _, name := range slices.Sorted(maps.Keys(w.wires)) { // so that zones are dealt out in this order
		k := w.wires[name]
		if k.owner != "" {
			pair, _ := w.zones.get(k.Name)
			k.plan, k.why = plan{name: k.Name, zones: pair, foreign: true}, k.owner
		} else {
			w.decideOne(k)
		}
		k.ready = true
	}
}

func (w *worker) decideOne(k *kept) {
	pair, ok := w.zones.of(k.Name, w.cfg.Taken)
	ports := w.ports.without(k.absent)
	if k.Inspected() {
		k.health.link(ports.unlinked(w.bridge, k.Inspectors))
	}
	if !ok {
		k.broken = "no conntrack zone is left"
	}
	k.plan, k.why = k.task.plan(w.bridge, ports, k.health, pair)
}

// mend makes the bridge have the flows of the plans.
func (w *worker) mend(ctx context.Context) error {
	if w.have == nil {
		return nil
	}
	var want []openflow.FlowMod
	left := make(map[uint64]bool)
	for _, k := range w.wires {
		if k.plan.foreign {
			left[cookieOf(k.plan.zones[0])] = true
		} else {
			want = append(want, k.plan.flows()...)
		}
	}
	refused := make(map[uint64]error)
	for _, bundle := range w.have.mend(want, left) {
		w.dirty.Store(true)
		if err := w.change(ctx, bundle, refused); err != nil {
			return err
		}
	}
	for _, k := range w.wires {
		k.refused = refused[cookieOf(k.plan.zones[0])]
	}
	if w.dirty.Load() {
		w.have = standingOf(want) // until it is read
	}
	return nil
}

// change carries out a bundle; where it is refused, what concerns each wire by itself, so that one
// does not keep others from being mended. What is refused is tried again when it was looked.
func (w *worker) change(ctx context.Context, mods []openflow.FlowMod, refused map[uint64]error) error {
	err := w.client.Bundle(ctx, mods)
	if _, ok := errors.AsType[*openflow.BundleError](err); !ok {
		return err
	}
	some := slices.IndexFunc(mods, func(m openflow.FlowMod) bool { return m.Cookie != mods[0].Cookie })
	if some < 0 {
		refused[mods[0].Cookie] = err
		return nil
	}
	if err := w.change(ctx, mods[:some], refused); err != nil {
		return err
	}
	return w.change(ctx, mods[some:], refused)
}

func standingOf(want []openflow.FlowMod) standing {
	have := make(standing, len(want))
	for _, m := range want {
		have[place{m.Priority, m.Match}] = m
	}
	return have
}
