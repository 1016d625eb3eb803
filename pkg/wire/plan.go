package wire

import (
	"context"
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
	if k.Inspected() {
		k.health.link(w.ports.unlinked(w.bridge, k.Inspectors))
	}
	if !ok {
		k.broken = "no conntrack zone is left"
	}
	k.plan, k.why = k.task.plan(w.bridge, w.ports, k.health, pair)
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
	for _, bundle := range w.have.mend(want, left) {
		w.dirty.Store(true)
		if err := w.client.Bundle(ctx, bundle); err != nil {
			return err
		}
	}
	if w.dirty.Load() {
		w.have = standingOf(want) // until it is read
	}
	return nil
}

func standingOf(want []openflow.FlowMod) standing {
	have := make(standing, len(want))
	for _, m := range want {
		have[place{m.Priority, m.Match}] = m
	}
	return have
}
