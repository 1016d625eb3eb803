package agent

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/devlink"
	"github.com/flowshunt/flowshunt/pkg/representor"
)

// gatherResets is for a reset that is over at once: that it begins and that it has ended
// is told as one.
const gatherResets = 50 * time.Millisecond

// The pause between two resets of an eswitch that the engine is told of. The next one
// within tenfold the pause doubles it: a device that has trouble all the time would have
// all sessions come and go all the time.
const (
	minResetPause = 200 * time.Millisecond
	maxResetPause = 10 * time.Second
)

// maxDevices bounds the devices that are remembered. A host has a few.
const maxDevices = 1 << 10

// resets tells the engine which eswitches may have lost their rules.
type resets struct {
	loop   *loop
	now    func() *portTable // nil: not known yet
	health *component
	log    *slog.Logger

	mu      sync.Mutex // guards what follows
	devices map[string][]flows.EswitchID
	pending map[flows.EswitchID]*pendingReset
	closed  bool
}

// pendingReset is when an eswitch was reset, and may be again.
type pendingReset struct {
	at    time.Time // of the last one that the engine was told of
	pause time.Duration
	timer *time.Timer // of the next one; nil: there is none
}

// learn remembers which eswitches are in which device: while it is reset its ports may
// be gone.
func (r *resets) learn(reps *representor.Set) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.devices == nil {
		r.devices = make(map[string][]flows.EswitchID)
	}
	now := reps.Eswitches()
	if len(r.devices)+len(now) > maxDevices {
		clear(r.devices)
	}
	maps.Copy(r.devices, now)
}

// heard takes what devlink tells. Trouble of a device whose eswitch is not known is
// that of all; that such a device comes and goes, as VFs do, is nothing.
func (r *resets) heard(reset devlink.Reset) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids, known := r.devices[reset.Device]
	table := r.now()
	switch {
	case known:
	case reset.Reload || table == nil:
		return
	default:
		ids = slices.Sorted(maps.Keys(table.eswitches()))
	}
	r.log.Warn("an eswitch may have lost its rules", "cause", reset.Cause, "eswitches", ids)
	r.health.note(errors.New(reset.Cause))
	for _, id := range ids {
		r.raise(id)
	}
}

// raise has one reset told a moment later, together with those that come meanwhile. mu
// is held.
func (r *resets) raise(id flows.EswitchID) {
	if r.pending == nil {
		r.pending = make(map[flows.EswitchID]*pendingReset)
	}
	p := r.pending[id]
	if p == nil {
		p = &pendingReset{pause: minResetPause}
		r.pending[id] = p
	}
	if r.closed || p.timer != nil {
		return
	}
	p.timer = time.AfterFunc(max(gatherResets, p.pause-time.Since(p.at)), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		p.timer = nil
		if !r.closed {
			p.told(time.Now())
			r.loop.post(engine.EswitchReset{Eswitch: id})
		}
	})
}

// told lengthens the pause, or after a quiet time makes it short again.
func (p *pendingReset) told(now time.Time) {
	if now.Sub(p.at) >= 10*p.pause {
		p.pause = minResetPause
	} else {
		p.pause = min(2*p.pause, maxResetPause)
	}
	p.at = now
}

func (r *resets) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, p := range r.pending {
		if p.timer != nil {
			p.timer.Stop()
		}
	}
}
