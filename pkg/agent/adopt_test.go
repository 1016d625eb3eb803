package agent

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/hack/benchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

// leave puts the rules of an earlier agent into an eswitch: sessions of live
// connections over a wire.
func leave(t *testing.T, driver eswitch.Driver, a, b int32, tuples []flows.Tuple) {
	t.Helper()
	e := eswitch.New(driver, eswitch.Config{})
	for _, link := range []int32{a, b} {
		if err := e.PreparePort(t.Context(), link); err != nil {
			t.Fatal(err)
		}
	}
	macs := [2]flows.MAC{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}
	sessions := make([]flows.Session, len(tuples))
	for i, tuple := range tuples {
		sessions[i] = flows.Session{ID: flows.SessionID(1<<40 + i), Rules: []flows.Rule{
			{Dir: flows.Orig, In: a, Out: b, Frame: flows.Frame{SrcMAC: macs[0], DstMAC: macs[1]}, Tuple: tuple},
			{Dir: flows.Reply, In: b, Out: a, Frame: flows.Frame{SrcMAC: macs[1], DstMAC: macs[0]}, Tuple: tuple.Reverse()},
		}}
	}
	for _, result := range e.Install(t.Context(), sessions) {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
}

// world is what an agent for n connections needs, and the eswitch that it will have.
func world(t *testing.T, n int) (cfg Config, driver *model.Model, links [2]int32, tuples []flows.Tuple) {
	t.Helper()
	kernelReady(t)
	d := newDatabase(t)
	a, b := d.wire(t)
	tuples, _ = conns(t, n, 4)
	driver = model.New(model.Config{}, a, b)
	cfg = testConfig(t, d)
	cfg.Engine.Enforce, cfg.driver, cfg.PollInterval = true, driver, time.Second
	return cfg, driver, [2]int32{a, b}, tuples
}

// takeOver starts an agent on the rules of n connections and returns how long it takes
// from nothing until it has read what is there, and until all are offloaded.
func takeOver(t *testing.T, n int) (read, all time.Duration) {
	t.Helper()
	cfg, driver, links, tuples := world(t, n)
	leave(t, driver, links[0], links[1], tuples)
	began := time.Now()
	r := start(t, cfg)
	read = time.Since(began)
	r.offload(n)
	all = time.Since(began)
	var counts engine.Counts
	if err := r.loop.ask(t.Context(), func(g *engine.Engine) { counts = g.Counts() }); err != nil {
		t.Fatal(err)
	}
	if counts.Adopted != uint64(n) || counts.Installs != 0 || len(counts.Removals) != 0 {
		t.Errorf("%d sessions adopted, %d installed, %v removed; want %d adopted", counts.Adopted, counts.Installs, counts.Removals, n)
	}
	return read, all
}

// anew is how long an agent takes that finds no rules.
func anew(t *testing.T, n int) time.Duration {
	t.Helper()
	cfg, _, _, tuples := world(t, n)
	began := time.Now()
	r := start(t, cfg)
	r.see(tuples...)
	r.offload(n)
	return time.Since(began)
}

// offload waits until n sessions are offloaded.
func (r *running) offload(n int) {
	r.t.Helper()
	eventually(r.t, "all sessions are offloaded", func() bool { return r.states()[engine.Offloaded] == n })
}

// Rules of an earlier agent whose connections live become sessions, as they are.
func TestTakeOver(t *testing.T) { takeOver(t, 20) }

// TestBenchTakeOver takes over 10,000 rules, beside the same agent that installs as
// many anew. Everything but tc and OVS is real.
func TestBenchTakeOver(t *testing.T) {
	benchtest.Need(t)
	const sessions = 5000
	var read, ours, peer time.Duration
	t.Run("adopt", func(t *testing.T) { read, ours = takeOver(t, sessions) })
	t.Run("anew", func(t *testing.T) { peer = anew(t, sessions) })
	t.Logf("open after %v, all offloaded after %v; anew after %v", read, ours, peer)
	benchtest.Report(t, benchtest.Rate("adopt-10k-agent", "rules/s", 2*sessions/ours.Seconds(), 2*sessions/peer.Seconds(),
		"the same agent, installing anew"))
}
