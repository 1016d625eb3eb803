package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/metrics"
)

// What /healthz calls alive: the engine answers soon, and the kernel is done with a
// batch of rules before systemd's watchdog (WatchdogSec of the unit) would end us.
const (
	engineAnswers = 2 * time.Second
	batchEnds     = 30 * time.Second
)

// metering is what the agent shows over HTTP. A nil one does nothing.
type metering struct {
	listener net.Listener
	health   *component
	recorder *metrics.Recorder
	timed    []metrics.Timed // of the step in progress
}

// listenForMetrics opens the listener, if there shall be one: an address that is
// taken is told before anything is changed.
func (a *Agent) listenForMetrics(ctx context.Context) error {
	if a.cfg.Metrics.Listen == "" {
		return nil
	}
	m := &metering{health: newComponent("metrics", a.log)}
	listener, err := metrics.Listen(ctx, a.cfg.Metrics, m.health.note)
	if err != nil {
		return err
	}
	m.listener = listener
	a.metering = m
	return nil
}

// meter lets the recorder see what passes the engine, and what the eswitch counts.
func (a *Agent) meter() {
	m := a.metering
	if m == nil {
		return
	}
	a.parts = append(a.parts, m.health)
	traffic := metrics.NewTraffic()
	m.recorder = metrics.NewRecorder(metrics.RecorderConfig{
		Traffic: traffic, PortName: a.ports.name, ValidateWithin: a.cfg.Engine.ValidateWithin,
	})
	a.loop.watch = m.step
	a.counter.eswitch = meteredCounters{a.counter.eswitch, traffic}
}

func (m *metering) step(now flows.Instant, events []message, effects []engine.Effect) {
	m.timed = m.timed[:0]
	for i := range events {
		m.timed = append(m.timed, metrics.Timed{At: events[i].at, Event: events[i].event})
	}
	m.recorder.Step(now, m.timed, effects)
	clear(m.timed) // batches go back to the dumper
}

// meteredCounters adds to the ports what the eswitch counts.
type meteredCounters struct {
	eswitch interface {
		Counters(ctx context.Context) ([]flows.SessionCounters, []flows.SessionID, error)
	}
	traffic *metrics.Traffic
}

func (c meteredCounters) Counters(ctx context.Context) ([]flows.SessionCounters, []flows.SessionID, error) {
	counts, lost, err := c.eswitch.Counters(ctx)
	c.traffic.Count(counts)
	return counts, lost, err
}

// serveMetrics serves until ctx ends. Traffic does not depend on being watched: a
// listener that fails is a component that failed, and no reason to end.
func (a *Agent) serveMetrics(ctx context.Context) error {
	m := a.metering
	if m == nil {
		return nil
	}
	m.health.ok()
	server := metrics.Server{
		Source: (*source)(a), Recorder: m.recorder, Alive: a.dead, Ready: a.unready,
		Log: slog.NewLogLogger(m.health.log.Handler(), slog.LevelDebug),
	}
	if err := server.Serve(ctx, m.listener); err != nil {
		m.health.failed(err)
	}
	return nil
}

func (m *metering) close() {
	if m != nil {
		_ = m.listener.Close()
	}
}

// dead says what does not move any more.
func (a *Agent) dead(ctx context.Context) (wrong []string) {
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	if err := a.loop.ask(ctx, func(*engine.Engine) {}); err != nil {
		wrong = append(wrong, fmt.Sprintf("engine: no answer: %v", err))
	}
	if busy := a.rules.busy(); busy > batchEnds {
		wrong = append(wrong, fmt.Sprintf("eswitch: the kernel has had the same batch of rules for %v", busy.Round(time.Second)))
	}
	return wrong
}

// unready says what ready lacks.
func (a *Agent) unready(context.Context) (wrong []string) {
	for _, c := range a.parts {
		if s := c.get(); s.Health == control.HealthFailed {
			wrong = append(wrong, s.Name+": "+s.LastError)
		}
	}
	if a.ports.now.Load() == nil {
		wrong = append(wrong, "ports: not known yet")
	}
	if a.dumper.last.Load() == nil {
		wrong = append(wrong, "conntrack: the table was not read in whole yet")
	}
	if len(wrong) == 0 && !a.ready() {
		wrong = append(wrong, "starting")
	}
	return wrong
}

// source implements metrics.Source.
type source Agent

// Snapshot implements metrics.Source.
func (s *source) Snapshot(ctx context.Context) metrics.Snapshot {
	m := metrics.Snapshot{
		Started: s.began, Ready: len((*Agent)(s).unready(ctx)) == 0, Ports: make(map[flows.Reason]int),
		Busy: s.rules.busy(), Changes: s.doubts.counts(), Overruns: s.listener.overruns.Load(), TapMissed: s.taps.taps.Stats().Overruns,
	}
	m.Mode = metrics.Mode{Configured: (*Agent)(s).mode(), Effective: (*Agent)(s).mode()}
	for _, c := range s.parts {
		part := c.get()
		m.Components = append(m.Components, metrics.Component{Name: part.Name, Up: part.Health == control.HealthOK})
	}
	m.Groups = s.groups.metrics()
	if d := s.dumper.last.Load(); d != nil {
		m.DumpEntries = d.entries
	}
	if t := s.ports.now.Load(); t != nil {
		if s.cfg.Engine.Enforce && t.forced != "" {
			m.Mode.Effective, m.Mode.Reason = "observe", t.forced
		}
		for _, p := range t.list {
			m.Ports[p.reason]++
		}
	}
	m.Wires = s.wires.metrics()
	var e metrics.Engine
	err := s.loop.ask(ctx, func(g *engine.Engine) { e.Sessions, e.Counts, e.Tables = g.Used(), g.Counts(), g.Tables() })
	if err != nil {
		return m
	}
	m.Engine = &e
	for _, b := range (*backend)(s).budgets(e.Sessions, e.Counts) {
		m.Budgets = append(m.Budgets, metrics.Budget{Name: b.Name, Used: b.Used, Limit: b.Limit})
	}
	return m
}
