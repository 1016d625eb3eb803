package wire

import (
	"github.com/flowshunt/flowshunt/flows"
)

// kept is a wire in this bridge.
type kept struct {
	task
	macs   [2]flows.MAC
	health *health
	plan   plan
	ready  bool // a plan was made
	why    string
	status Status
	turns  uint64
	// refused says why the bridge does not have the flows of the plan.
	refused error
}

func (k *kept) probed() bool { return k.Inspected() && k.owner == "" && k.broken == "" && k.ready }

// update takes over what the bridge shall have.
func (w *worker) update() {
	w.mu.Lock()
	tasks := w.tasks
	w.mu.Unlock()
	wanted := make(map[string]bool, len(tasks))
	for _, t := range tasks {
		wanted[t.Name] = true
		k := w.wires[t.Name]
		if k == nil || k.Spec != t.Spec {
			k = w.begin(t)
			w.wires[t.Name] = k
		}
		k.task = t
	}
	for name := range w.wires {
		if !wanted[name] {
			delete(w.wires, name)
		}
	}
}

// begin begins to keep a wire, where those stopped who did before us.
func (w *worker) begin(t task) *kept {
	k := &kept{task: t, macs: probeMACs(w.cfg.node(), t.Name)}
	was := w.marks[t.Name].state
	if old := w.wires[t.Name]; old != nil {
		k.status, k.turns, was = old.status, old.turns, old.plan.state
	}
	k.health = newHealth(t.interval(), was == Open || was == Closed)
	return k
}
