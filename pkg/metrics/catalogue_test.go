package metrics

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// busyServer has a value for every metric.
func busyServer(silent bool) *Server {
	r := newRecorder()
	r.Step(ms(20), []Timed{
		{ms(10), engine.DumpDone{Began: ms(1), Complete: true}},
		{ms(11), engine.PathsDoubted{}},
	}, []engine.Effect{engine.Install{Session: 1, Op: 1, Paths: wire}})
	return &Server{Source: fake{silent}, Recorder: r}
}

func registry(t *testing.T, s *Server) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range s.own() {
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	return registry
}

func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(busyServer(false).Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestCatalogue: what is exposed and what the reference page lists are the same, by
// name, type, help and labels.
func TestCatalogue(t *testing.T) {
	families, err := registry(t, busyServer(false)).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var have, want []string
	for _, f := range families {
		have = append(have, describe(f))
	}
	for _, s := range catalogue() {
		for _, d := range s.list {
			labels := slices.Sorted(slices.Values(d.labels))
			want = append(want, strings.Join([]string{d.name, d.typ(), strings.Join(labels, ","), d.help}, " "))
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("the catalogue (-) and what is exposed (+):\n%s", diff)
	}
	if len(want) < 20 {
		t.Errorf("%d metrics, want at least 20", len(want))
	}
}

func describe(f *dto.MetricFamily) string {
	var labels []string
	for _, pair := range f.GetMetric()[0].GetLabel() {
		labels = append(labels, pair.GetName())
	}
	return strings.Join([]string{f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ","), f.GetHelp()}, " ")
}

func TestReferencePageIsCurrent(t *testing.T) {
	have, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := Reference(&want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(have)); diff != "" {
		t.Errorf("docs/metrics.md is not what the metrics say (go generate ./pkg/metrics/...):\n%s", diff)
	}
}

func TestSnapshotIsExposed(t *testing.T) {
	want := `
# HELP flowshunt_mode_info ` + modeInfo.help + `
# TYPE flowshunt_mode_info gauge
flowshunt_mode_info{configured="enforce",effective="observe",reason="ovs-hw-offload"} 1
# HELP flowshunt_component_up ` + componentUp.help + `
# TYPE flowshunt_component_up gauge
flowshunt_component_up{component="engine"} 1
flowshunt_component_up{component="ovsdb"} 1
flowshunt_component_up{component="taps"} 0
# HELP flowshunt_ports ` + ports.help + `
# TYPE flowshunt_ports gauge
flowshunt_ports{reason="port-down"} 1
flowshunt_ports{reason="usable"} 2
# HELP flowshunt_connections ` + connections.help + `
# TYPE flowshunt_connections gauge
flowshunt_connections{reason="elephant"} 3
flowshunt_connections{reason="mouse"} 40
# HELP flowshunt_session_pulls_total ` + pulls.help + `
# TYPE flowshunt_session_pulls_total counter
flowshunt_session_pulls_total{cause="idle"} 5
flowshunt_session_pulls_total{cause="path-changed"} 6
# HELP flowshunt_session_installs_total ` + installs.help + `
# TYPE flowshunt_session_installs_total counter
flowshunt_session_installs_total{result="failed"} 1
flowshunt_session_installs_total{result="full"} 0
flowshunt_session_installs_total{result="ok"} 14
# HELP flowshunt_start_time_seconds ` + startSeconds.help + `
# TYPE flowshunt_start_time_seconds gauge
flowshunt_start_time_seconds 1.7000000005e+09
`
	err := testutil.GatherAndCompare(registry(t, busyServer(false)), strings.NewReader(want), modeInfo.name, componentUp.name,
		ports.name, connections.name, pulls.name, installs.name, startSeconds.name)
	if err != nil {
		t.Error(err)
	}
}

// A silent engine takes only its own metrics along.
func TestSilentEngine(t *testing.T) {
	g := registry(t, busyServer(true))
	want := `
# HELP flowshunt_component_up ` + componentUp.help + `
# TYPE flowshunt_component_up gauge
flowshunt_component_up{component="engine"} 0
flowshunt_component_up{component="ovsdb"} 1
flowshunt_component_up{component="taps"} 0
`
	if err := testutil.GatherAndCompare(g, strings.NewReader(want), componentUp.name, sessions.name, installs.name); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(g, portBytes.name, installTime.name); err != nil || n != 5 {
		t.Errorf("%d series of the recorder, %v; want 5", n, err)
	}
}

// Names that are no text do not cost a scrape.
func TestNamesFromOutside(t *testing.T) {
	s := busyServer(false)
	s.Recorder.cfg.Traffic.Bind(9, [2]string{"p\xff", "a\"b\n"}, [2]flows.Counters{})
	if n, err := testutil.GatherAndCount(registry(t, s), portBytes.name); err != nil || n != 8 {
		t.Errorf("%d series, %v; want 8", n, err)
	}
}
