package metrics

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// observed returns how often, and how many seconds in all, a histogram observed.
func observed(t *testing.T, o prometheus.Observer) (n uint64, sum float64) {
	t.Helper()
	var m dto.Metric
	if err := o.(prometheus.Metric).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
}

func wantObserved(t *testing.T, what string, o prometheus.Observer, n uint64, sum time.Duration) {
	t.Helper()
	if have, s := observed(t, o); have != n || math.Abs(s-sum.Seconds()) > 1e-9 {
		t.Errorf("%s: %d times, %g s; want %d, %g s", what, have, s, n, sum.Seconds())
	}
}

func wantValue(t *testing.T, what string, c prometheus.Collector, want float64) {
	t.Helper()
	if have := testutil.ToFloat64(c); have != want {
		t.Errorf("%s: %g, want %g", what, have, want)
	}
}

// order tells the recorder of an effect.
func (r *Recorder) order(now flows.Instant, e engine.Effect) { r.Step(now, nil, []engine.Effect{e}) }

// told tells it of an event.
func (r *Recorder) told(at flows.Instant, ev engine.Event) { r.Step(at+1, []Timed{{at, ev}}, nil) }

func TestInstallAndRemove(t *testing.T) {
	r := newRecorder()
	r.order(ms(10), engine.Install{Session: 1, Op: 1, Paths: wire})
	r.order(ms(11), engine.Install{Session: 2, Op: 1, Paths: wire})
	wantValue(t, "rules before the answer", r.rules, 0)
	r.told(ms(14), engine.Installed{Session: 1, Op: 1})
	r.told(ms(14), engine.Installed{Session: 1, Op: 1})
	r.told(ms(15), engine.Installed{Session: 2, Op: 1, Reason: flows.TableFull})
	wantValue(t, "rules", r.rules, 2)
	wantObserved(t, "installations", r.installTime, 1, 4*time.Millisecond)

	r.order(ms(15), engine.Remove{Session: 2, Op: 2, Cause: flows.TableFull})
	r.told(ms(16), engine.Removed{Session: 2, Op: 2})
	r.order(ms(20), engine.Remove{Session: 1, Op: 2, Cause: flows.Idle})
	r.told(ms(22), engine.Removed{Session: 1, Op: 2, Err: errors.New("device busy")})
	wantValue(t, "rules after a removal that failed", r.rules, 2)
	r.order(ms(120), engine.Remove{Session: 1, Op: 3, Cause: flows.Idle})
	r.told(ms(121), engine.Removed{Session: 1, Op: 3})
	wantValue(t, "rules", r.rules, 0)
	wantObserved(t, "removals", r.removalTime, 2, (1+101)*time.Millisecond)
	wantValue(t, "removals ok", r.removals.WithLabelValues("ok"), 2)
	wantValue(t, "removals failed", r.removals.WithLabelValues("failed"), 1)
	if len(r.sessions) != 0 {
		t.Errorf("%d sessions are kept for ever", len(r.sessions))
	}
}

// An installation that a removal has overtaken: there is one answer, or two.
func TestOvertaken(t *testing.T) {
	r := newRecorder()
	r.order(ms(1), engine.Install{Session: 1, Op: 1, Paths: wire})
	r.order(ms(2), engine.Remove{Session: 1, Op: 2, Cause: flows.Closing})
	r.told(ms(3), engine.Installed{Session: 1, Op: 1})
	wantValue(t, "rules that came in late", r.rules, 2)
	r.told(ms(4), engine.Removed{Session: 1, Op: 2})
	wantValue(t, "rules", r.rules, 0)
	r.told(ms(5), engine.Installed{Session: 1, Op: 1})
	wantValue(t, "rules after a stale answer", r.rules, 0)
}

func TestAdopted(t *testing.T) {
	r := newRecorder()
	found := engine.FoundSession{ID: 5, Paths: wire, Count: [2]flows.Counters{{Packets: 10, Bytes: 1000}, {}}}
	r.told(ms(1), engine.RulesFound{Sessions: []engine.FoundSession{found}})
	wantValue(t, "rules", r.rules, 2)
	r.cfg.Traffic.Count([]flows.SessionCounters{count(5, flows.Counters{Packets: 11, Bytes: 1100}, flows.Counters{})})
	r.cfg.Traffic.check(t, "p1", flows.Counters{Packets: 1, Bytes: 100}, flows.Counters{})
	wantObserved(t, "installations", r.installTime, 0, 0)
	r.order(ms(2), engine.Remove{Session: 5, Op: 1, Cause: flows.Gone})
	r.told(ms(3), engine.Removed{Session: 5, Op: 1})
	wantValue(t, "rules", r.rules, 0)
}

// That nobody confirms what was found is no news from outside, until somebody has.
func TestAdoptionIsNoEventOutside(t *testing.T) {
	r := newRecorder()
	for _, id := range []flows.SessionID{1, 2} {
		r.told(ms(1), engine.RulesFound{Sessions: []engine.FoundSession{{ID: id, Paths: wire}}})
		r.order(ms(2), engine.Validate{Session: id, Op: 1})
	}
	r.told(ms(3), engine.Validated{Session: 1, Op: 1})
	for _, id := range []flows.SessionID{1, 2} {
		r.order(ms(2000), engine.Remove{Session: id, Op: 2, Cause: flows.PathDoubted})
		r.told(ms(2001), engine.Removed{Session: id, Op: 2})
	}
	wantObserved(t, "propagation", r.propagationTime.WithLabelValues("path"), 1, 1001*time.Millisecond)
}

func TestValidation(t *testing.T) {
	r := newRecorder()
	r.told(ms(100), engine.PathsDoubted{Ports: []flows.PortID{1}})
	r.order(ms(110), engine.Validate{Session: 1, Op: 1})
	r.order(ms(110), engine.Validate{Session: 2, Op: 1})
	r.told(ms(113), engine.Validated{Session: 1, Op: 1})
	r.told(ms(114), engine.Validated{Session: 1, Op: 1}) // nobody asked
	r.told(ms(115), engine.Validated{Session: 2, Op: 9})
	wantObserved(t, "validations", r.validationTime, 1, 3*time.Millisecond)
	wantValue(t, "confirmed", r.validated.WithLabelValues("confirmed"), 1)

	r.Step(ms(121), []Timed{{ms(120), engine.Validated{Session: 2, Op: 1, Reason: flows.PathDropped}}},
		[]engine.Effect{engine.Remove{Session: 2, Op: 2, Cause: flows.PathDropped}})
	wantValue(t, "refused", r.validated.WithLabelValues("path-dropped"), 1)
	r.told(ms(125), engine.Removed{Session: 2, Op: 2})
	wantObserved(t, "from the doubt on", r.propagationTime.WithLabelValues("path"), 1, 25*time.Millisecond)
	if len(r.validations) != 0 {
		t.Errorf("%d questions are kept for ever", len(r.validations))
	}
}

func TestDoubtScopes(t *testing.T) {
	r := newRecorder()
	r.told(ms(1), engine.PathsDoubted{})
	r.told(ms(2), engine.PathsDoubted{Ports: []flows.PortID{1}})
	r.told(ms(3), engine.PathsDoubted{Ports: []flows.PortID{1}, Matches: []flows.PacketMatch{{}}})
	for _, scope := range []string{"all", "ports", "packets"} {
		wantValue(t, scope, r.doubts.WithLabelValues(scope), 1)
	}
}

func TestPropagation(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cause  flows.Reason
		events []Timed
		source string        // empty: nothing to measure
		took   time.Duration // with the removal acknowledged at 2 s
	}{
		{"port", flows.PortDown, []Timed{{ms(1990), engine.PortsChanged{}}, {ms(1970), engine.PathsDoubted{}}}, "ports", 10 * time.Millisecond},
		{"path", flows.PathChanged, []Timed{{ms(1970), engine.PathsDoubted{}}, {ms(1980), engine.PathsDoubted{}}}, "path", 30 * time.Millisecond},
		{"nobody confirmed it", flows.PathDoubted, nil, "path", 1005 * time.Millisecond},
		{"entry gone", flows.Gone, []Timed{{ms(1960), engine.EntriesGone{}}}, "conntrack", 40 * time.Millisecond},
		{"entry read", flows.Blocked, []Timed{{ms(1990), engine.SessionRead{At: ms(1950)}}}, "conntrack", 50 * time.Millisecond},
		{"entry in a dump", flows.Closing, []Timed{{0, engine.EntriesRead{At: ms(1900)}}}, "conntrack", 100 * time.Millisecond},
		{"rules vanished", flows.RulesGone, []Timed{{ms(1994), engine.RulesVanished{}}}, "eswitch", 6 * time.Millisecond},
		{"mode", flows.OVSHWOffload, []Timed{{ms(1993), engine.ModeChanged{}}}, "mode", 7 * time.Millisecond},
		{"own decision", flows.Idle, []Timed{{ms(1993), engine.PortsChanged{}}}, "", 0},
		{"no such news", flows.PortDown, []Timed{{ms(1993), engine.ModeChanged{}}}, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRecorder()
			r.order(ms(1), engine.Install{Session: 1, Op: 1, Paths: wire})
			r.told(ms(2), engine.ModeChanged{}) // of an earlier step: has nothing to do with it
			r.Step(ms(1995), tt.events, []engine.Effect{engine.Remove{Session: 1, Op: 2, Cause: tt.cause}})
			r.told(ms(2000), engine.Removed{Session: 1, Op: 2})
			for o, name := range originNames {
				switch {
				case name == tt.source:
					wantObserved(t, name, r.propagationTime.WithLabelValues(name), 1, tt.took)
				case origin(o) != fromInside:
					wantObserved(t, name, r.propagationTime.WithLabelValues(name), 0, 0)
				}
			}
		})
	}
}

func TestDumpsAndResyncs(t *testing.T) {
	r := newRecorder()
	r.told(ms(500), engine.DumpDone{Began: ms(300), Complete: true})
	r.told(ms(900), engine.DumpDone{Began: ms(800)})
	r.told(ms(901), engine.Lost{})
	wantObserved(t, "dumps", r.dumpTime, 2, 300*time.Millisecond)
	wantValue(t, "complete", r.dumps.WithLabelValues("complete"), 1)
	wantValue(t, "interrupted", r.dumps.WithLabelValues("interrupted"), 1)
	wantValue(t, "resyncs", r.resyncs, 1)
}

// Ports that can be used have counters before their first packet.
func TestUsablePortsHaveCounters(t *testing.T) {
	r := newRecorder()
	r.told(ms(1), engine.PortsChanged{Ports: []engine.PortState{{ID: 1}, {ID: 2, Reason: flows.PortDown}, {ID: 100}}})
	if list := r.cfg.Traffic.copy(); len(list) != 1 {
		t.Errorf("ports %v, want p1", list)
	}
}

// The kernel's answers to a storm of removals go through here on the engine's goroutine.
func BenchmarkRecorder(b *testing.B) {
	r := newRecorder()
	const n = 1000
	var removes, installs []engine.Effect
	var removed, installed []Timed
	for i := range n {
		id := flows.SessionID(i + 1)
		installs = append(installs, engine.Install{Session: id, Op: 1, Paths: wire})
		installed = append(installed, Timed{ms(2), engine.Installed{Session: id, Op: 1}})
		removes = append(removes, engine.Remove{Session: id, Op: 2, Cause: flows.PortDown})
		removed = append(removed, Timed{ms(4), engine.Removed{Session: id, Op: 2}})
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Step(ms(1), nil, installs)
		r.Step(ms(2), installed, nil)
		r.Step(ms(3), []Timed{{ms(3), engine.PortsChanged{}}}, removes)
		r.Step(ms(4), removed, nil)
		r.cfg.Traffic.Count(nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/session")
}
