package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// RecorderConfig says what a Recorder needs to know. All of it is required.
type RecorderConfig struct {
	Traffic *Traffic
	// PortName returns the name of a port that exists, or "".
	PortName func(flows.PortID) string
	// ValidateWithin is that of the engine: a session that leaves because nobody
	// confirmed its path was doubted so long before.
	ValidateWithin time.Duration
}

// Recorder takes from the stream of events and effects what can only be seen while
// it happens. Step is called by one goroutine at a time, its metrics may be
// collected by others meanwhile. What it keeps is bounded by the number of
// sessions, since every effect that it waits for is answered.
type Recorder struct {
	cfg         RecorderConfig
	sessions    map[flows.SessionID]*passage
	validations map[flows.SessionID]question
	doubted     flows.Instant // when the last doubt came
	since       origins       // of the step in progress

	installTime, removalTime, validationTime, dumpTime prometheus.Histogram
	propagationTime                                    *prometheus.HistogramVec
	removals, doubts, validated, dumps                 *prometheus.CounterVec
	resyncs                                            prometheus.Counter
	rules                                              prometheus.Gauge
}

// passage is what is known of a session in the eswitch, or on its way in or out.
type passage struct {
	ordered  flows.Instant // its installation; 0: by an earlier agent
	adopting bool          // by an earlier agent, and not confirmed yet
	rules    int           // that are acknowledged
	leaving  flows.Instant // when its removal was ordered; 0: it was not
	cause    origin        // of the removal
	began    flows.Instant // what caused it; 0: not known
}

// question is a Validate without an answer.
type question struct {
	op      uint64
	ordered flows.Instant
	doubted flows.Instant
}

// Timed is an event with the moment when it was handed over.
type Timed struct {
	At    flows.Instant
	Event engine.Event
}

// NewRecorder returns a Recorder that has seen nothing.
func NewRecorder(cfg RecorderConfig) *Recorder {
	r := &Recorder{
		cfg:            cfg,
		sessions:       make(map[flows.SessionID]*passage),
		validations:    make(map[flows.SessionID]question),
		installTime:    installTime.newHistogram(),
		removalTime:    removalTime.newHistogram(),
		validationTime: validationTime.newHistogram(),
		dumpTime:       dumpTime.newHistogram(),

		propagationTime: propagationTime.histogramVec(),
		removals:        removals.counterVec(), doubts: doubts.counterVec(), validated: validations.counterVec(),
		dumps:   dumps.counterVec(),
		resyncs: resyncs.newCounter(), rules: rules.newGauge(),
	}
	for _, result := range []string{"ok", "failed"} {
		r.removals.WithLabelValues(result)
	}
	r.validated.WithLabelValues("confirmed")
	for o := fromPath; o < origin(len(originNames)); o++ {
		r.propagationTime.WithLabelValues(originNames[o])
	}
	return r
}

// Step takes what one step of the engine was given, and what it ordered then. now is
// the time that the engine was told.
func (r *Recorder) Step(now flows.Instant, events []Timed, effects []engine.Effect) {
	r.since = origins{}
	for i := range events {
		r.event(events[i].At, events[i].Event)
	}
	for _, e := range effects {
		r.effect(now, e)
	}
}

func (r *Recorder) event(at flows.Instant, ev engine.Event) {
	r.since.note(at, ev)
	switch ev := ev.(type) {
	case engine.Installed:
		r.installed(at, ev)
	case engine.Removed:
		r.removed(at, ev)
	case engine.RulesFound:
		for i := range ev.Sessions {
			r.found(&ev.Sessions[i])
		}
	case engine.PathsDoubted:
		r.doubted = at
		r.doubts.WithLabelValues(scope(ev)).Inc()
	case engine.Validated:
		r.answered(at, ev)
	case engine.DumpDone:
		r.dumpTime.Observe(at.Sub(ev.Began).Seconds())
		r.dumps.WithLabelValues(choose(ev.Complete, "complete", "interrupted")).Inc()
	case engine.Lost:
		r.resyncs.Inc()
	case engine.PortsChanged:
		r.portsChanged(at, ev)
	}
}

func (r *Recorder) effect(now flows.Instant, e engine.Effect) {
	switch e := e.(type) {
	case engine.Install:
		r.sessions[e.Session] = &passage{ordered: now}
		r.bind(e.Session, e.Paths, [2]flows.Counters{})
	case engine.Remove:
		r.removing(now, e)
	case engine.Validate:
		q := question{e.Op, now, r.doubted}
		if before, open := r.validations[e.Session]; open {
			q.doubted = before.doubted
		}
		r.validations[e.Session] = q
	}
}

// rulesOf is how many rules a session has: one for each direction.
const rulesOf = len(flows.Paths{})

func (r *Recorder) installed(at flows.Instant, ev engine.Installed) {
	p := r.sessions[ev.Session]
	if p == nil || ev.Reason != "" || p.rules > 0 {
		return
	}
	p.rules = rulesOf
	r.rules.Add(float64(p.rules))
	r.installTime.Observe(at.Sub(p.ordered).Seconds())
}

// found takes over a session of an earlier agent. What was counted for it before was
// counted there.
func (r *Recorder) found(s *engine.FoundSession) {
	if r.sessions[s.ID] != nil {
		return
	}
	r.sessions[s.ID] = &passage{rules: rulesOf, adopting: true}
	r.rules.Add(float64(rulesOf))
	r.bind(s.ID, s.Paths, s.Count)
}

func (r *Recorder) bind(id flows.SessionID, paths flows.Paths, counted [2]flows.Counters) {
	r.cfg.Traffic.Bind(id, [2]string{r.cfg.PortName(paths[flows.Orig].In), r.cfg.PortName(paths[flows.Reply].In)}, counted)
}

func (r *Recorder) removing(now flows.Instant, e engine.Remove) {
	p := r.sessions[e.Session]
	if p == nil {
		p = &passage{}
		r.sessions[e.Session] = p
	}
	if p.leaving != 0 {
		return // once more, because it failed
	}
	p.leaving, p.cause = now, originOf(e.Cause)
	if p.adopting {
		p.cause = fromInside // a restart is no event outside
	}
	p.began = r.since[p.cause]
	if e.Cause == flows.PathDoubted {
		p.began = now.Add(-r.cfg.ValidateWithin)
	}
}

func (r *Recorder) removed(at flows.Instant, ev engine.Removed) {
	r.removals.WithLabelValues(choose(ev.Err == nil, "ok", "failed")).Inc()
	p := r.sessions[ev.Session]
	if p == nil || ev.Err != nil {
		return
	}
	r.removalTime.Observe(at.Sub(p.leaving).Seconds())
	if p.cause != fromInside && p.began != 0 {
		r.propagationTime.WithLabelValues(originNames[p.cause]).Observe(at.Sub(p.began).Seconds())
	}
	r.rules.Sub(float64(p.rules))
	delete(r.sessions, ev.Session)
	r.cfg.Traffic.Leave(ev.Session)
}

func (r *Recorder) answered(at flows.Instant, ev engine.Validated) {
	q, open := r.validations[ev.Session]
	if !open || q.op != ev.Op {
		return
	}
	delete(r.validations, ev.Session)
	r.validationTime.Observe(at.Sub(q.ordered).Seconds())
	if ev.Reason == "" {
		r.validated.WithLabelValues("confirmed").Inc()
		if p := r.sessions[ev.Session]; p != nil {
			p.adopting = false
		}
		return
	}
	r.validated.WithLabelValues(string(ev.Reason)).Inc()
	r.since.earliest(fromPath, q.doubted)
}

func (r *Recorder) portsChanged(at flows.Instant, ev engine.PortsChanged) {
	usable := make(map[string]bool, len(ev.Ports))
	for _, p := range ev.Ports {
		if name := r.cfg.PortName(p.ID); name != "" {
			usable[name] = p.Reason == ""
		}
	}
	r.cfg.Traffic.Keep(at, usable)
}

// scope says how much a doubt leaves in peace.
func scope(ev engine.PathsDoubted) string {
	switch {
	case ev.Matches != nil:
		return "packets"
	case ev.Ports != nil:
		return "ports"
	}
	return "all"
}

func choose(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

func (r *Recorder) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		r.installTime, r.removalTime, r.validationTime, r.dumpTime, r.propagationTime,
		r.removals, r.doubts, r.validated, r.dumps, r.resyncs, r.rules,
	}
}
