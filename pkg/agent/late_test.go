package agent

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/path"
)

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
				health: newComponent("ovs-vswitchd", slog.New(slog.DiscardHandler))}
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
