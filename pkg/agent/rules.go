package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

// installer is what the executor needs of the eswitch.
type installer interface {
	Install(ctx context.Context, sessions []flows.Session) []eswitch.Result
	Remove(ctx context.Context, ids []flows.SessionID) []error
}

// How many sessions go to the eswitch at a time. Removals are looked for after each
// batch of installations, and wait for no more than that.
const (
	installChunk = 64
	removeChunk  = 1024
)

// rules carries out Install and Remove, one batch at a time, removals first. A
// Remove cancels an Install that waits. Its queues are bounded by the number of
// sessions.
type rules struct {
	eswitch installer
	ports   func(flows.PortID) (ifindex int32, ok bool)
	loop    *loop
	health  *component
	log     *slog.Logger

	mu       sync.Mutex
	installs map[flows.SessionID]engine.Install
	order    []flows.SessionID // of installs; those that were cancelled are passed over
	removes  []engine.Remove
	since    time.Time // when the batch in progress was begun; zero: there is none
	wake     chan struct{}
}

func newRules(e installer, ports func(flows.PortID) (int32, bool), l *loop, health *component, log *slog.Logger) *rules {
	return &rules{eswitch: e, ports: ports, loop: l, health: health, log: log,
		installs: make(map[flows.SessionID]engine.Install), wake: make(chan struct{}, 1)}
}

func (r *rules) install(e engine.Install) {
	r.mu.Lock()
	r.installs[e.Session] = e
	r.order = append(r.order, e.Session)
	r.mu.Unlock()
	signal(r.wake)
}

func (r *rules) remove(e engine.Remove) {
	r.mu.Lock()
	delete(r.installs, e.Session)
	r.removes = append(r.removes, e)
	r.mu.Unlock()
	signal(r.wake)
}

// next returns either removals, or, if there are none, installations.
func (r *rules) next() (removes []engine.Remove, installs []engine.Install) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		r.since = time.Time{}
		if len(removes)+len(installs) > 0 {
			r.since = time.Now()
		}
	}()
	if len(r.removes) > 0 {
		n := min(len(r.removes), removeChunk)
		removes, r.removes = r.removes[:n:n], r.removes[n:]
		return removes, nil
	}
	for len(r.order) > 0 && len(installs) < installChunk {
		id := r.order[0]
		r.order = r.order[1:]
		if e, ok := r.installs[id]; ok {
			delete(r.installs, id)
			installs = append(installs, e)
		}
	}
	return nil, installs
}

// busy returns for how long the kernel has had the batch in progress: a driver that
// hangs keeps all removals waiting.
func (r *rules) busy() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.IsZero() {
		return 0
	}
	return time.Since(r.since)
}

func (r *rules) run(ctx context.Context) error {
	for {
		removes, installs := r.next()
		switch {
		case len(removes) > 0:
			r.removeAll(ctx, removes)
		case len(installs) > 0:
			r.installAll(ctx, installs)
		default:
			select {
			case <-r.wake:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func (r *rules) removeAll(ctx context.Context, removes []engine.Remove) {
	ids := make([]flows.SessionID, len(removes))
	for i, e := range removes {
		ids[i] = e.Session
	}
	for i, err := range r.eswitch.Remove(ctx, ids) {
		r.log.Debug("removed", "session", removes[i].Session, "error", err)
		if err != nil {
			r.health.note(err)
		}
		r.loop.post(engine.Removed{Session: removes[i].Session, Op: removes[i].Op, Err: err})
	}
}

func (r *rules) installAll(ctx context.Context, installs []engine.Install) {
	sessions := make([]flows.Session, 0, len(installs))
	asked := make([]engine.Install, 0, len(installs))
	for _, e := range installs {
		session, ok := r.session(e)
		if !ok {
			r.loop.post(engine.Installed{Session: e.Session, Op: e.Op, Reason: flows.PortGone})
			continue
		}
		sessions, asked = append(sessions, session), append(asked, e)
	}
	for i, result := range r.eswitch.Install(ctx, sessions) {
		ev := engine.Installed{Session: asked[i].Session, Op: asked[i].Op, InHW: result.InHW}
		r.log.Debug("installed", "session", ev.Session, "error", result.Err)
		if result.Err != nil {
			ev.Reason, ev.Detail = refusal(result.Err), result.Err.Error()
			r.health.note(result.Err)
		}
		r.loop.post(ev)
	}
}

// session turns an effect into rules.
func (r *rules) session(e engine.Install) (flows.Session, bool) {
	s := flows.Session{ID: e.Session, Rules: make([]flows.Rule, 0, len(e.Paths))}
	for d, p := range e.Paths {
		in, okIn := r.ports(p.In)
		out, okOut := r.ports(p.Out)
		if !okIn || !okOut {
			return s, false
		}
		s.Rules = append(s.Rules, flows.Rule{
			Dir: flows.Dir(d), In: in, Out: out, SrcMAC: p.SrcMAC, DstMAC: p.DstMAC, Tuple: e.Tuples[d],
		})
	}
	return s, true
}

// refusal names the reason of a failed installation.
func refusal(err error) flows.Reason {
	switch {
	case errors.Is(err, eswitch.ErrFull):
		return flows.TableFull
	case errors.Is(err, eswitch.ErrPortGone):
		return flows.PortGone
	case errors.Is(err, eswitch.ErrNotPrepared), errors.Is(err, eswitch.ErrIngress), errors.Is(err, eswitch.ErrForeign):
		return flows.PortUnready
	}
	return flows.InstallFailed
}
