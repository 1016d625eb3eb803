package agent

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

// page fetches one of the pages that the agent serves.
func (r *running) page(path string) (code int, body string) {
	r.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + r.metering.listener.Addr().String() + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// metric returns the value of a series as it is written, or -1.
func (r *running) metric(series string) float64 {
	r.t.Helper()
	_, body := r.page("/metrics")
	m := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(series) + " (.*)$").FindStringSubmatch(body)
	if m == nil {
		return -1
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (r *running) awaitMetric(series string, want float64) {
	r.t.Helper()
	eventually(r.t, series+" is "+strconv.FormatFloat(want, 'g', -1, 64), func() bool { return r.metric(series) == want })
}

func metered(c *Config, _ *model.Config) { c.Metrics.Listen = "127.0.0.1:0" }

// loopback makes 127.0.0.1 reachable in the namespace of the tests.
func loopback(t *testing.T) {
	t.Helper()
	needNamespace(t)
	run(t, "ip link set lo up")
}

func TestMetrics(t *testing.T) {
	loopback(t)
	r, m, d, _ := enforcing(t, 3, metered)
	r.awaitMetric(`flowshunt_sessions{state="offloaded"}`, 3)
	r.awaitMetric("flowshunt_rules", 6)
	r.awaitMetric(`flowshunt_session_installs_total{result="ok"}`, 3)
	r.awaitMetric("flowshunt_session_install_duration_seconds_count", 3)
	r.awaitMetric(`flowshunt_connections{reason="mark-offload"}`, 3)
	r.awaitMetric(`flowshunt_ports{reason="usable"}`, 2)
	r.awaitMetric(`flowshunt_mode_info{configured="enforce",effective="enforce",reason=""}`, 1)
	r.awaitMetric(`flowshunt_component_up{component="metrics"}`, 1)

	// What was counted for a port stays when the session leaves, and when the next comes.
	id := r.anySession()
	m.Hit(id, flows.Orig, 10, 1000)
	m.Hit(id, flows.Reply, 4, 240)
	r.awaitMetric("flowshunt_offloaded_bytes_total", 1240)
	in, out := r.portsOf(id)
	d.vsctl("set interface p0 external_ids:flowshunt=off")
	r.awaitMetric(`flowshunt_session_pulls_total{cause="port-off"}`, 3)
	r.awaitMetric("flowshunt_rules", 0)
	r.awaitMetric(`flowshunt_propagation_duration_seconds_count{source="ports"}`, 3)
	r.awaitMetric("flowshunt_session_removal_duration_seconds_count", 3)
	for series, want := range map[string]float64{
		`flowshunt_port_offloaded_bytes_total{direction="rx",port="` + in + `"}`:    1000,
		`flowshunt_port_offloaded_bytes_total{direction="tx",port="` + in + `"}`:    240,
		`flowshunt_port_offloaded_bytes_total{direction="rx",port="` + out + `"}`:   240,
		`flowshunt_port_offloaded_packets_total{direction="tx",port="` + out + `"}`: 10,
	} {
		r.awaitMetric(series, want)
	}
	_, body := r.page("/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// anySession returns a session that is offloaded.
func (r *running) anySession() (id flows.SessionID) {
	r.t.Helper()
	err := r.loop.ask(r.t.Context(), func(e *engine.Engine) { id = e.Sessions()[0].Session })
	if err != nil || id == 0 {
		r.t.Fatal("no session", err)
	}
	return id
}

func (r *running) portsOf(id flows.SessionID) (in, out string) {
	r.t.Helper()
	err := r.loop.ask(r.t.Context(), func(e *engine.Engine) {
		for _, v := range e.Sessions() {
			if v.Session == id {
				in, out = r.ports.name(v.Paths[flows.Orig].In), r.ports.name(v.Paths[flows.Orig].Out)
			}
		}
	})
	if err != nil || in == "" || out == "" {
		r.t.Fatal(in, out, err)
	}
	return in, out
}

func TestReadiness(t *testing.T) {
	loopback(t)
	r, _, d, _ := enforcing(t, 1, metered)
	eventually(t, "nothing is wrong with the database", func() bool { _, body := r.page("/readyz"); return !strings.Contains(body, "ovsdb: ") })
	d.stop()
	eventually(t, "not ready without a database, and says so", func() bool {
		code, body := r.page("/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "ovsdb: ")
	})
	if code, body := r.page("/healthz"); code != http.StatusOK {
		t.Errorf("a database that is away is no reason to restart the agent: %d %s", code, body)
	}
	r.awaitMetric("flowshunt_ready", 0)
	r.awaitMetric(`flowshunt_component_up{component="ovsdb"}`, 0)
	d.start()
}

func TestLiveness(t *testing.T) {
	loopback(t)
	r, _, _, _ := enforcing(t, 1, metered)
	if code, body := r.page("/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("%d %s", code, body)
	}
	l := r.rules.lane("")
	l.mu.Lock()
	l.since = time.Now().Add(-batchEnds - time.Second)
	l.mu.Unlock()
	if code, body := r.page("/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "eswitch: ") {
		t.Errorf("a driver that hangs: %d %s", code, body)
	}
	l.mu.Lock()
	l.since = time.Time{}
	l.mu.Unlock()

	// The engine stands still; the rest goes on being shown.
	stuck, moves := make(chan struct{}), make(chan struct{})
	go func() {
		_ = r.loop.ask(context.Background(), func(*engine.Engine) { close(stuck); <-moves })
	}()
	<-stuck
	if code, body := r.page("/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "engine: ") {
		t.Errorf("an engine that stands still: %d %s", code, body)
	}
	if v := r.metric(`flowshunt_component_up{component="engine"}`); v != 0 {
		t.Errorf("the engine is up: %g", v)
	}
	close(moves)
	r.awaitMetric(`flowshunt_component_up{component="engine"}`, 1)
}

// An agent without metrics has no part for them.
func TestNoMetrics(t *testing.T) {
	r, _, _, _ := enforcing(t, 1, nil)
	for _, c := range r.parts {
		if c.get().Name == "metrics" {
			t.Error("there is a component for what nobody asked for")
		}
	}
}

func TestMetricsAddressTaken(t *testing.T) {
	loopback(t)
	r, m, _, _ := enforcing(t, 1, metered)
	cfg := r.cfg
	cfg.Control.Path += "2"
	cfg.Metrics.Listen = r.metering.listener.Addr().String()
	if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "metrics: ") {
		t.Errorf("got %v", err)
	}
	if m.Len() != 2 {
		t.Error("the rules of the first agent were touched")
	}
}
