package agent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// An order that the engine may have is told apart from one that it has not, and has left its
// line in the log, whatever happens before the answer.
func TestOrderGiven(t *testing.T) {
	for _, tt := range []struct {
		what string
		end  func(l *loop, cancel func())
		want error
	}{
		{"the agent ends", func(l *loop, _ func()) { close(l.ended) }, errEnded},
		{"the caller does not wait", func(_ *loop, cancel func()) { cancel() }, context.Canceled},
	} {
		t.Run(tt.what, func(t *testing.T) {
			var log bytes.Buffer
			l := testLoop()
			b := (*backend)(&Agent{loop: l, log: slog.New(slog.NewTextHandler(&log, nil))})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			e := entry("10.0.0.1")
			o := &control.Order{Kind: control.OrderRevoke}
			go func() {
				(<-l.asks)(l.engine)
				<-l.inbox.wake // and nobody takes it
				tt.end(l, cancel)
			}()
			err := b.give(ctx, o, 1, []target{{key: e.Key, rec: &e}}, nil)
			if !errors.Is(err, control.ErrGiven) || !errors.Is(err, tt.want) {
				t.Errorf("ends with %v", err)
			}
			if s := log.String(); !strings.Contains(s, "msg=order ") || !strings.Contains(s, "what=revoke") || !strings.Contains(s, e.Key.Tuple.String()) {
				t.Errorf("the log says %q", s)
			}
		})
	}
}

// Nobody is told that all went well by an agent that has ended.
func TestWatchOrderAfterTheEnd(t *testing.T) {
	l := testLoop()
	close(l.ended)
	targets := []target{{state: engine.OrderState{Outcome: engine.OrderWaits}}}
	err := (*backend)(&Agent{loop: l}).watchOrder(t.Context(), &control.Order{Kind: control.OrderInspect}, targets)
	if !errors.Is(err, control.ErrGiven) || targets[0].state.Outcome != engine.OrderWaits {
		t.Errorf("%v, %+v", err, targets)
	}
}
