package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// pathsFunc answers as a resolver would.
type pathsFunc func(path.Validation) (path.Answer, error)

func (f pathsFunc) Validate(_ context.Context, v path.Validation, _ flows.Instant) (path.Answer, error) {
	return f(v)
}

func TestValidator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		l := testLoop()
		v := &validator{loop: l, todo: newQueue[pendingValidation](), health: newComponent("ovs", silent),
			paths: pathsFunc(func(v path.Validation) (path.Answer, error) {
				switch {
				case away.Load():
					return path.Answer{}, errors.New("no OVS")
				case v.Tuples[flows.Orig].SrcPort == 0:
					return path.Answer{}, &path.Refusal{Reason: flows.PathDropped, Detail: "dropped"}
				}
				return path.Answer{Stands: []flows.Stand{{Zone: 5}}, Plain: true}, nil
			})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- v.run(ctx) }()
		answers := func() map[flows.SessionID]engine.Validated {
			synctest.Wait()
			list := make(map[flows.SessionID]engine.Validated)
			for _, m := range l.inbox.take() {
				ev := m.event.(engine.Validated)
				list[ev.Session] = ev
			}
			return list
		}
		ask := func() {
			for i := range 20 {
				v.put(engine.Validate{Session: flows.SessionID(i + 1), Op: 3, Within: time.Second, Tuples: [2]flows.Tuple{{SrcPort: uint16(i)}}})
			}
		}
		ask()
		got := answers()
		if len(got) != 20 || got[1].Reason != flows.PathDropped || got[1].Detail != "dropped" || got[2].Reason != "" ||
			!got[2].Plain || len(got[2].Stands) != 1 || got[2].Op != 3 {
			t.Errorf("answers: %+v", got)
		}
		away.Store(true)
		ask()
		time.Sleep(500 * time.Millisecond)
		if got := answers(); len(got) != 0 {
			t.Errorf("answers of OVS while it is away: %+v", got)
		}
		if h := v.health.get(); h.Health != control.HealthFailed {
			t.Errorf("health while OVS is away: %+v", h)
		}
		away.Store(false)
		time.Sleep(askAgain)
		if got := answers(); len(got) != 20 || got[2].Reason != "" {
			t.Errorf("answers after it came back: %+v", got)
		}
		away.Store(true)
		ask()
		time.Sleep(1200 * time.Millisecond)
		if got := answers(); len(got) != 20 || got[7].Reason != flows.PathDoubted {
			t.Errorf("answers after the time was over: %+v", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// lateOVS cannot be asked before an instant.
type lateOVS struct{ from flows.Instant }

func (o lateOVS) Validate(_ context.Context, _ path.Validation, now flows.Instant) (path.Answer, error) {
	if now < o.from {
		return path.Answer{}, errors.New("OVS is away")
	}
	return path.Answer{}, nil
}

// OVS is asked again for as long as the engine waits: longer for what an earlier agent
// left than for others.
func TestValidatorAsksAgain(t *testing.T) {
	tests := []struct {
		name         string
		away, within time.Duration
		want         flows.Reason
	}{
		{"at once", 0, time.Second, ""},
		{"back in time", 900 * time.Millisecond, time.Second, ""},
		{"back too late", 1500 * time.Millisecond, time.Second, flows.PathDoubted},
		{"more time", 1500 * time.Millisecond, 5 * time.Second, ""},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			l := testLoop()
			v := &validator{paths: lateOVS{l.clock.now().Add(test.away)}, loop: l, todo: newQueue[pendingValidation](),
				health: newComponent("ovs-vswitchd", silent)}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- v.run(ctx) }()
			v.put(engine.Validate{Session: 7, Op: 3, Within: test.within})
			time.Sleep(time.Minute)
			cancel()
			<-ended
			events := l.posted()
			if len(events) != 1 {
				t.Fatalf("%s: %d events", test.name, len(events))
			}
			if ev := events[0].(engine.Validated); ev.Session != 7 || ev.Op != 3 || ev.Reason != test.want {
				t.Errorf("%s: %+v, want %q", test.name, ev, test.want)
			}
		})
	}
}
