package wire

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// follow hears when flows of wires or ports change in the bridge.
func (w *worker) follow(ctx context.Context) {
	_ = openflow.Follow(ctx, openflow.Config{Socket: openflow.SocketPath(w.cfg.Rundir, w.bridge)}, (*notice)(w))
}

// notice has the bridge read again. It implements openflow.Handler.
type notice worker

func (n *notice) now() {
	n.dirty.Store(true)
	nudge(n.wake)
}

func (n *notice) Watching(openflow.Version) { n.now() }

// Lost is the worker's own business: it uses the bridge all the time.
func (n *notice) Lost(error) { n.now() }

func (n *notice) Changed(changes []openflow.Change) {
	for i := range changes {
		switch c := &changes[i]; c.Kind {
		case openflow.FlowAdded, openflow.FlowDeleted, openflow.FlowModified:
			// another's flow can have taken the place of one of ours
			if IsOurs(c.Cookie) || c.Table == table && c.Priority >= Priority && c.Priority <= tracked {
				n.now()
				return
			}
		case openflow.PortAdded, openflow.PortDeleted, openflow.PortModified:
			n.now()
			return
		}
	}
}

// receive hears probes.
func (w *worker) receive(ctx context.Context) {
	r := openflow.Receiver{Socket: openflow.SocketPath(w.cfg.Rundir, w.bridge), ID: receiver}
	for ctx.Err() == nil {
		err := r.Receive(ctx, func() {
			w.deaf.Store(nil)
			w.hears.Store(true)
		}, w.received)
		w.hears.Store(false)
		if text := err.Error(); ctx.Err() == nil {
			w.deaf.Store(&text)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryEvery):
		}
	}
}

func (w *worker) received(p openflow.PacketIn) {
	if from, number, ok := parseProbe(p.Frame); ok {
		select {
		case w.heard <- answer{from, p.InPort, number}:
		default: // more than all wires have: it counts as lost
		}
	}
}
