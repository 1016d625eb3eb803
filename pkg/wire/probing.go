package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// answer is a probe that came through.
type answer struct {
	from   flows.MAC
	port   uint32
	number uint64
}

// hear takes a probe that came out of an inspector: by the port on the other side of the one
// where it went in.
func (w *worker) hear(a answer) {
	for _, k := range w.wires {
		for i, mac := range k.macs {
			if mac == a.from && k.plan.inspectors[1-i] == a.port && k.probed() {
				k.health.heard(i, a.number)
			}
		}
	}
}

// probe sends what is due.
func (w *worker) probe(ctx context.Context) {
	now := time.Now()
	for _, k := range w.wires {
		if !k.probed() {
			continue
		}
		unheard := func(i int) string {
			return fmt.Sprintf("%d probes in a row from %s did not come out at %s", patience, k.Inspectors[i], k.Inspectors[1-i])
		}
		k.health.tick(now, unheard, func(i int, number uint64) bool { return w.send(ctx, k, i, number) })
	}
}

// send reports whether a probe is on its way. It is not where nobody would hear of it.
func (w *worker) send(ctx context.Context, k *kept, i int, number uint64) bool {
	if w.client == nil || !w.hears.Load() || k.plan.inspectors[0] == 0 || k.plan.inspectors[1] == 0 {
		return false
	}
	packet := openflow.PacketOut{
		InPort: openflow.Controller, Frame: appendProbe(nil, k.macs[i], k.macs[1-i], number),
		Actions: []openflow.Action{{Kind: openflow.Output, Port: k.plan.inspectors[i]}},
	}
	var errs [1]error
	if err := w.client.Send(ctx, []openflow.PacketOut{packet}, errs[:]); err != nil {
		w.lose(ctx, err)
		return false
	}
	return errs[0] == nil
}

// Counts are what happened to a wire since its keeper runs.
type Counts struct {
	Sent   uint64 // probes
	Missed uint64 // of these, those that were not seen again in time
	Turns  uint64 // changes of its state
}

func (k *kept) counts() Counts {
	c := Counts{Turns: k.turns}
	for i := range k.health.ways {
		c.Sent += k.health.ways[i].sent
		c.Missed += k.health.ways[i].missed
	}
	return c
}
