package wire

import (
	"context"

	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// decide plans what each wire shall be, by what the bridge has said.
func (w *worker) decide() {
	for _, k := range w.wires {
		pair, ok := w.zones.of(k.Name, w.cfg.Taken)
		switch {
		case k.owner != "":
			k.plan, k.why = plan{name: k.Name}, k.owner
		case !ok:
			k.plan, k.why = plan{name: k.Name}, "no conntrack zone is left"
		default:
			if k.Inspected() {
				k.health.link(w.ports.unlinked(w.bridge, k.Inspectors))
			}
			k.plan, k.why = k.task.plan(w.bridge, w.ports, k.health, pair, k.macs)
		}
		k.ready = true
	}
}

// mend makes the bridge have the flows of the plans.
func (w *worker) mend(ctx context.Context) error {
	if w.have == nil {
		return nil
	}
	var want []openflow.FlowMod
	for _, k := range w.wires {
		if k.plan.zones[0] != 0 {
			want = append(want, k.plan.flows()...)
		}
	}
	for _, bundle := range w.have.mend(want) {
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
