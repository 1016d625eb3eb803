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

// placer returns at which devices packets come in that enter at a port, and by which they
// leave it; it is false for a port that cannot be used.
type placer func(flows.PortID) (in []int32, out int32, ok bool)

// installer is what the executor needs of the eswitch.
type installer interface {
	Install(ctx context.Context, sessions []flows.Session) []eswitch.Result
	Remove(ctx context.Context, ids []flows.SessionID) []error
}

// rules carries out Install and Remove, those for each eswitch in a lane of their own,
// so that a slow one keeps none of the others waiting.
type rules struct {
	eswitch installer
	ports   placer
	loop    *loop
	health  *component
	log     *slog.Logger
	told    func(flows.SessionID, []flows.Rule) // what is in now; nil: nobody

	mu    sync.Mutex
	lanes map[flows.EswitchID]*lane
	added []*lane // that do not run yet
	wake  chan struct{}
}

func newRules(e installer, ports placer, l *loop, health *component, log *slog.Logger) *rules {
	return &rules{eswitch: e, ports: ports, loop: l, health: health, log: log,
		lanes: make(map[flows.EswitchID]*lane), wake: make(chan struct{}, 1)}
}

func (r *rules) install(e engine.Install) { r.lane(e.Eswitch).install(e) }

func (r *rules) remove(e engine.Remove) { r.lane(e.Eswitch).remove(e) }

// lane returns the lane of an eswitch. There are no more than eswitches were seen.
func (r *rules) lane(id flows.EswitchID) *lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[id]
	if l == nil {
		l = newLane(r)
		r.lanes[id], r.added = l, append(r.added, l)
		signal(r.wake)
	}
	return l
}

// busy returns for how long the kernel has had a batch, the longest: a driver that hangs
// keeps all removals of its eswitch waiting.
func (r *rules) busy() (longest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lanes {
		longest = max(longest, l.busy())
	}
	return longest
}

func (r *rules) run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		r.mu.Lock()
		for _, l := range r.added {
			running.Go(func() { l.run(ctx) })
		}
		r.added = nil
		r.mu.Unlock()
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil
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
		} else if r.told != nil {
			r.told(removes[i].Session, nil)
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
	began := time.Now()
	results := r.eswitch.Install(ctx, sessions)
	took := time.Since(began) / time.Duration(max(1, len(results)))
	for i, result := range results {
		ev := engine.Installed{Session: asked[i].Session, Op: asked[i].Op, InHW: result.InHW, Took: took}
		r.log.Debug("installed", "session", ev.Session, "error", result.Err)
		if result.Err == nil && r.told != nil {
			r.told(ev.Session, sessions[i].Rules)
		}
		if result.Err != nil {
			ev.Reason, ev.Detail = refusal(result.Err), result.Err.Error()
			if troubling(result.Err) {
				r.health.note(result.Err)
			}
		}
		r.loop.post(ev)
	}
}

// session turns an effect into rules.
func (r *rules) session(e engine.Install) (flows.Session, bool) {
	s := flows.Session{ID: e.Session, Eswitch: e.Eswitch, Rules: make([]flows.Rule, 0, len(e.Paths))}
	for d, p := range e.Paths {
		ins, _, okIn := r.ports(p.In)
		_, out, okOut := r.ports(p.Out)
		if !okIn || !okOut || len(ins) == 0 {
			return s, false
		}
		for _, in := range ins {
			s.Rules = append(s.Rules, flows.Rule{
				Dir: flows.Dir(d), In: in, Out: out, Frame: p.Frame, Change: p.Change, Tuple: e.Tuples[d],
			})
		}
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
	case errors.Is(err, eswitch.ErrNotOffloaded), errors.Is(err, eswitch.ErrNotSupported), errors.Is(err, eswitch.ErrRefused):
		return flows.Refused
	}
	return flows.InstallFailed
}

// troubling reports whether a failed installation is worth an operator's attention: a full
// table, rules that cannot be said and a guard that was lost meanwhile are everyday, unless
// something was left behind.
func troubling(err error) bool {
	everyday := errors.Is(err, eswitch.ErrFull) || errors.Is(err, eswitch.ErrRefused) || errors.Is(err, eswitch.ErrUnguarded)
	return !everyday || errors.Is(err, eswitch.ErrUnknown)
}
