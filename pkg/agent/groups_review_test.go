package agent

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// A database that cannot be reached says so at each attempt, more often than the grace lasts.
// That is no news of what is permitted.
func TestLostAgainAndAgain(t *testing.T) {
	l := newLoop(newClock(), engine.New(engine.DefaultConfig()), nil)
	src := &groupSource{name: "sb", loop: l, compiler: secgroup.NewCompiler(), health: newComponent("x", slog.New(slog.DiscardHandler))}
	src.now.Store(&groupsNow{})
	src.tell(secgroup.News{Update: &secgroup.Update{Reset: true}})
	l.inbox.take()
	src.tell(secgroup.News{Err: errors.New("refused")})
	since := src.now.Load().stale
	time.Sleep(time.Millisecond)
	src.tell(secgroup.News{Err: errors.New("refused")})
	for _, m := range l.inbox.take() {
		if ev, ok := m.event.(engine.PermissionsChanged); ok {
			t.Errorf("the engine is told that all is well: %+v", ev)
		}
	}
	if now := src.now.Load().stale; !now.Equal(since) {
		t.Errorf("stale since %v, then since %v", since, now)
	}
}
