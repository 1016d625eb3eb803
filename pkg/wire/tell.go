package wire

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// warn tells of wires through which something passed, and shall not the same way any more: before their
// flows change, so that whoever sees them change knows why.
func (w *worker) warn() {
	turned := false
	for _, k := range w.wires {
		passed := k.status.State == Inspected || k.status.State == Through
		if passed && k.plan.state != Inspected && k.plan.state != Through {
			w.settle(k)
			turned = true
		}
	}
	if turned {
		w.say()
	}
}

// tell says how the wires are.
func (w *worker) tell() {
	for _, k := range w.wires {
		w.settle(k)
	}
	if unseen := w.looked.IsZero() && !errors.Is(w.failed, openflow.ErrVersion); unseen && (w.away.IsZero() || time.Since(w.away) < w.cfg.grace()) {
		return // it may be as it was before the agent began
	}
	w.say()
}

func (w *worker) say() {
	list := make([]Status, 0, len(w.wires))
	counts := make(map[string]Counts, len(w.wires))
	for _, k := range w.wires {
		counts[k.Name] = k.counts()
		if k.home && !k.status.Since.IsZero() {
			list = append(list, k.status)
		}
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	w.mu.Lock()
	w.counts = counts
	w.mu.Unlock()
	w.report(list)
}

// settle works out what is told of a wire. Its flows may not be in force: then it is what it
// was, unless nothing shall pass any more.
func (w *worker) settle(k *kept) {
	next := Status{Spec: k.Spec, State: k.plan.state, Bridge: w.bridge, Zones: k.plan.zones, Detail: k.why, Problem: w.problem(k)}
	if next.State == Through {
		next.Zones[1] = next.Zones[0]
	}
	if failed := cmp.Or(w.failed, k.refused); failed != nil {
		text := "bridge " + w.bridge + ": " + failed.Error()
		patient := k.status.State != Unready && !errors.Is(failed, openflow.ErrVersion) &&
			(w.away.IsZero() || time.Since(w.away) < w.cfg.grace())
		switch {
		case k.ready && (next.State == Closed || next.State == Unready && w.away.IsZero()):
			next.Problem = text
		case patient:
			next.State, next.Zones, next.Detail, next.Problem = k.status.State, k.status.Zones, k.status.Detail, text
		default:
			next.State, next.Detail = Unready, text
		}
	}
	if next.State == Unready {
		next.Bridge, next.Zones = "", [2]flows.Zone{}
	}
	next.Since = k.status.Since
	if next.State != k.status.State || k.status.Since.IsZero() {
		next.Since = time.Now()
		k.turns++
	}
	k.status = next
}

// problem says what is not as it should be, beside a bridge that cannot be told.
func (w *worker) problem(k *kept) string {
	var all []string
	if k.health.slow >= patience {
		all = append(all, fmt.Sprintf("ovs-vswitchd takes longer than %v to send probes: none counts", k.health.interval/4))
	}
	if deaf := w.deaf.Load(); deaf != nil && k.probed() {
		all = append(all, "no probe can be sent, for none would be heard: "+*deaf)
	}
	if k.risk != "" {
		all = append(all, k.risk)
	}
	return strings.Join(all, "; ")
}
