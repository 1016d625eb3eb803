package agent

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// judgement is what a fake resolver says of every path.
type judgement struct{ refusal *path.Refusal }

func (j *judgement) Recheck(context.Context, flows.Paths, flows.Instant) *path.Refusal {
	return j.refusal
}

// observing returns a loop whose engine has one session, and its id.
func observing(t *testing.T) (*loop, flows.SessionID) {
	t.Helper()
	cfg := engine.DefaultConfig()
	cfg.Mark.Offload = engine.MaskedMark{Value: 4, Mask: 4}
	var session engine.Resolve
	l := newLoop(newClock(), engine.New(cfg), func(effects []engine.Effect) {
		for _, e := range effects {
			session = e.(engine.Resolve)
		}
	})
	e := entry("10.0.0.1")
	e.Mark = 4
	l.post(engine.PortsChanged{Ports: []engine.PortState{{ID: 1}, {ID: 2}}}, engine.EntriesRead{At: 1, Entries: []flows.Entry{e}})
	l.step()
	l.post(engine.PathResolved{Session: session.Session, Op: session.Op, Paths: flows.Paths{{In: 1, Out: 2}, {In: 2, Out: 1}}})
	l.step()
	return l, session.Session
}

// check lets a rechecker look once, and returns what it posts.
func (r *rechecker) once(t *testing.T) []engine.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan bool)
	go func() { // stands in for the loop, which would consume the events
		defer close(done)
		(<-r.loop.asks)(r.loop.engine)
	}()
	r.check(ctx)
	<-done
	return r.loop.posted()
}

func TestRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, id := observing(t)
		j := &judgement{}
		r := &rechecker{paths: j, loop: l, grace: time.Minute, health: newComponent("ovs-vswitchd", silent), answered: time.Now()}
		if got := r.once(t); len(got) != 0 {
			t.Errorf("a good path: %+v", got)
		}
		j.refusal = &path.Refusal{Reason: flows.PathChanged, Detail: "moved"}
		want := []engine.Event{engine.PathRefused{Session: id, Reason: flows.PathChanged, Detail: "moved"}}
		if got := r.once(t); !slices.Equal(got, want) {
			t.Errorf("a path that changed: %+v", got)
		}
		// OVS may be silent for a while, but not for ever.
		j.refusal = &path.Refusal{Reason: flows.PathUnknown, Detail: "no answer"}
		if got := r.once(t); len(got) != 0 || r.health.get().Health != control.HealthFailed {
			t.Errorf("OVS does not answer: %+v, %v", got, r.health.get().Health)
		}
		time.Sleep(2 * time.Minute) // of the bubble
		want = []engine.Event{engine.PathRefused{Session: id, Reason: flows.PathUnknown, Detail: "no answer"}}
		if got := r.once(t); !slices.Equal(got, want) {
			t.Errorf("OVS has not answered for long: %+v", got)
		}
		j.refusal = nil
		if got := r.once(t); len(got) != 0 || r.health.get().Health != control.HealthOK {
			t.Errorf("OVS answers again: %+v, %v", got, r.health.get().Health)
		}
	})
}

func TestRecheckEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := testLoop()
	r := &rechecker{paths: &judgement{}, loop: l, interval: time.Millisecond, health: newComponent("ovs-vswitchd", silent)}
	ended := make(chan error)
	go func() { ended <- r.run(ctx) }()
	for range 3 {
		(<-l.asks)(l.engine)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
