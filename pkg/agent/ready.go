package agent

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// readiness says whether the agent has seen everything once.
type readiness struct{ reached atomic.Bool }

// announce tells systemd when the agent is ready: OVSDB, ports and a whole dump
// were read; and from then on its watchdog, if there is one.
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
	if err != nil {
		a.log.Warn("systemd's watchdog will not hear of this agent", "error", err)
	}
	if err == nil && interval > 0 {
		a.feedWatchdog(ctx, interval)
	}
	return nil
}

// feedWatchdog tells systemd that the engine turns and that what it decides is
// carried out, four times within the interval after which it would be killed.
func (a *Agent) feedWatchdog(ctx context.Context, interval time.Duration) {
	for ; ctx.Err() == nil; pause(ctx, min(interval/4, time.Minute)) {
		alive, cancel := context.WithTimeout(ctx, interval/4)
		err := a.loop.ask(alive, func(*engine.Engine) {})
		cancel()
		if err == nil && a.rules.busy() < interval {
			a.notify("WATCHDOG=1")
		}
	}
}

// ready reports whether everything was seen once and everything works now.
func (a *Agent) ready() bool {
	for _, c := range a.parts {
		if c.get().Health == control.HealthFailed {
			return false
		}
	}
	return a.readiness.reached.Load()
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
