package wire

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// look reads the bridge, if that is due.
func (w *worker) look(ctx context.Context) (err error) {
	now := time.Now()
	if !w.dirty.Swap(false) && w.away.IsZero() && now.Sub(w.looked) < lookEvery {
		return nil
	}
	if w.client == nil {
		if w.client, err = openflow.Dial(ctx, openflow.SocketPath(w.cfg.Rundir, w.bridge), callTime); err != nil {
			return err
		}
	}
	list, err := w.client.Ports(ctx)
	if err != nil {
		return err
	}
	have, marks, err := read(ctx, w.client)
	if err != nil {
		return err
	}
	clear(w.marks)
	for _, m := range marks {
		w.marks[m.name] = m
		if w.looked.IsZero() { // it may not have answered when it was asked first
			w.zones.learn(m.name, m.zones)
		}
	}
	w.ports, w.have, w.looked, w.away, w.failed = numbersOf(list), have, now, time.Time{}, nil
	return nil
}

// lose takes note that the bridge could not be told.
func (w *worker) lose(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	w.failed = err
	w.hangUp()
	if w.away.IsZero() {
		w.away = time.Now()
	}
}

func (w *worker) hangUp() {
	if w.client != nil {
		_ = w.client.Close()
		w.client = nil
	}
}
