package agent

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/flowshunt/flowshunt/flows/engine"
)

// readiness says whether the agent has seen everything once.
type readiness struct{ reached atomic.Bool }

// announce tells systemd when the agent is ready: OVSDB, ports and a whole dump
// were read, and from then on, at half the watchdog's time, that its loop turns.
func (a *Agent) announce(ctx context.Context) error {
	for a.dumper.last.Load() == nil || a.ports.now.Load() == nil {
		pause(ctx, tick)
		if ctx.Err() != nil {
			return nil
		}
	}
	a.readiness.reached.Store(true)
	a.log.Info("ready", "mode", a.mode(), "ports", len(a.ports.now.Load().list))
	a.notify("READY=1")
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return nil
	}
	for ctx.Err() == nil {
		alive, cancel := context.WithTimeout(ctx, interval)
		if a.loop.ask(alive, func(*engine.Engine) {}) == nil {
			a.notify("WATCHDOG=1")
		}
		cancel()
		pause(ctx, min(interval/2, time.Minute))
	}
	return nil
}

func (a *Agent) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn("sd_notify", "error", err)
	}
}

func (a *Agent) mode() string {
	if a.cfg.Engine.Enforce {
		return "enforce"
	}
	return "observe"
}
