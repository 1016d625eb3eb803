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

// hear takes a probe that came out of an inspector, by the port on the other side of the one
// where it went in, and reports whether an inspector is back by that.
func (w *worker) hear(a answer) (back bool) {
	for _, k := range w.wires {
		for i, mac := range k.macs {
			if mac == a.from && k.plan.inspectors[1-i] == a.port && k.probed() {
				back = k.health.heard(i, a.number) || back
			}
		}
	}
	return back
}

// waiting returns what came through and was not heard yet.
func (w *worker) waiting() (list []answer) {
	for len(w.heard) > 0 {
		list = append(list, <-w.heard)
	}
	return list
}

// probe sends what is due, of all wires at once: the bridge answers when all of it is out.
func (w *worker) probe(ctx context.Context) {
	var due []round
	var packets []openflow.PacketOut
	begun := time.Now()
	for _, k := range w.wires {
		if !k.probed() || begun.Before(k.health.next) {
			continue
		}
		r := round{kept: k, first: len(packets)}
		if w.hears.Load() && k.plan.inspectors[0] != 0 && k.plan.inspectors[1] != 0 { // somebody would hear of it
			packets, r.left = append(packets, k.probes()...), true
		}
		due = append(due, r)
	}
	errs := make([]error, len(packets))
	if len(packets) > 0 {
		if err := w.client.Send(ctx, packets, errs); err != nil {
			w.lose(ctx, err)
			return
		}
	}
	w.count(due, errs, time.Since(begun))
}

// round is a wire whose probes are due.
type round struct {
	*kept
	left  bool // they were sent
	first int  // among all that were
}

// probes are the next ones of a wire, by the inspector port where they leave.
func (k *kept) probes() []openflow.PacketOut {
	packets := make([]openflow.PacketOut, len(k.macs))
	for i := range packets {
		packets[i] = openflow.PacketOut{
			InPort: openflow.Controller, Frame: appendProbe(nil, k.macs[i], k.macs[1-i], k.health.ways[i].upcoming()),
			Actions: []openflow.Action{{Kind: openflow.Output, Port: k.plan.inspectors[i]}},
		}
	}
	return packets
}

// count counts the last round of some wires, and begins the next. What came through while the
// next probes were sent belongs to either.
func (w *worker) count(due []round, errs []error, took time.Duration) {
	came := w.waiting()
	for _, a := range came {
		w.hear(a)
	}
	now := time.Now()
	for _, k := range due {
		var out [2]bool
		for way := range out {
			out[way] = k.left && errs[k.first+way] == nil
		}
		k.health.sent(now, took, out, func(i int) string {
			return fmt.Sprintf("%d probes in a row from %s did not come out at %s", patience, k.Inspectors[i], k.Inspectors[1-i])
		})
	}
	for _, a := range came {
		w.hear(a)
	}
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
