package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/version"
)

// answerTime is how long a scrape waits for the engine.
const answerTime = 2 * time.Second

// collector asks the source at each scrape.
type collector struct {
	source Source
	build  version.Info
}

// Describe implements prometheus.Collector. It names nothing, since reasons come
// and go; the registry compares what is collected instead.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	s := c.source.Snapshot(ctx)
	out <- buildInfo.value(1, c.build.Version, c.build.Commit, c.build.Go)
	c.collectAgent(out, &s)
	if s.Engine != nil {
		collectEngine(out, s.Engine)
	}
}

func collectGroups(out chan<- prometheus.Metric, p *Groups) {
	out <- groupPorts.value(float64(p.Ports), p.Source)
	out <- groupRules.value(float64(p.Rules), p.Source)
	out <- groupMembers.value(float64(p.Members), p.Source)
	out <- groupNews.value(float64(p.Changes), p.Source)
	out <- groupStale.value(p.Stale.Seconds(), p.Source)
	out <- groupCompile.value(p.Compiling.Seconds(), p.Source)
}

func collectWire(out chan<- prometheus.Metric, w *Wire) {
	out <- wireState.value(1, w.Name, w.State)
	out <- wireFor.value(w.For.Seconds(), w.Name)
	out <- wireProbes.value(float64(w.Sent), w.Name)
	out <- wireLost.value(float64(w.Missed), w.Name)
	out <- wireTurns.value(float64(w.Turns), w.Name)
}

func (c *collector) collectAgent(out chan<- prometheus.Metric, s *Snapshot) {
	out <- startSeconds.value(float64(s.Started.UnixNano()) / 1e9)
	out <- modeInfo.value(1, s.Mode.Configured, s.Mode.Effective, string(s.Mode.Reason))
	out <- ready.value(truth(s.Ready))
	out <- componentUp.value(truth(s.Engine != nil), "engine")
	for _, part := range s.Components {
		out <- componentUp.value(truth(part.Up), part.Name)
	}
	for i := range s.Groups {
		collectGroups(out, &s.Groups[i])
	}
	for i := range s.Wires {
		collectWire(out, &s.Wires[i])
	}
	out <- ports.value(float64(s.Ports[""]), "usable")
	for reason, n := range s.Ports {
		if reason != "" {
			out <- ports.value(float64(n), string(reason))
		}
	}
	for _, b := range s.Budgets {
		out <- budgetUsed.value(float64(b.Used), b.Name)
		out <- budgetLimit.value(float64(b.Limit), b.Name)
	}
	for source, n := range s.Changes {
		out <- changes.value(float64(n), source)
	}
	out <- eswitchBusy.value(s.Busy.Seconds())
	out <- dumpEntries.value(float64(s.DumpEntries))
	out <- overruns.value(float64(s.Overruns))
	out <- tapMissed.value(float64(s.TapMissed))
}

func collectEngine(out chan<- prometheus.Metric, e *Engine) {
	for state := engine.Resolving; state <= engine.Removing; state++ {
		out <- sessions.value(float64(e.Sessions[state]), state.String())
	}
	c := &e.Counts
	for reason, n := range c.Followed {
		out <- connections.value(float64(n), string(reason))
	}
	for cause, n := range c.Removals {
		out <- pulls.value(float64(n), string(cause))
	}
	out <- installs.value(float64(c.Installs), "ok")
	out <- installs.value(float64(c.InstallsFailed), "failed")
	out <- installs.value(float64(c.InstallsRefused), "full")
	for i := range e.Tables {
		collectTable(out, &e.Tables[i])
	}
	out <- adoptions.value(float64(c.Adopted))
	out <- sessionDoubts.value(float64(c.Doubts))
	out <- keepalives.value(float64(c.KeepAlives))
	out <- hints.value(float64(c.Hints))
	out <- unfollowed.value(float64(c.Unfollowed))
	out <- offloadedBytes.value(float64(c.Offloaded.Bytes))
	out <- offloadedPkts.value(float64(c.Offloaded.Packets))
}

func collectTable(out chan<- prometheus.Metric, t *engine.Table) {
	id := string(t.Eswitch)
	out <- tableRules.value(float64(t.Rules), id)
	out <- tableBelieved.value(float64(t.Believed), id)
	out <- tableWindow.value(float64(t.Window), id)
	out <- tableInstalling.value(float64(t.Installing), id)
	out <- tableWaiting.value(float64(t.Waiting), id)
	out <- tableInstalls.value(float64(t.Installs), id)
	out <- tableRefused.value(float64(t.Refused), id)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
