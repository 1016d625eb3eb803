package agent

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// notifications collects what the agent tells systemd.
func notifications(t *testing.T) <-chan string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", name)
	said := make(chan string, 1000)
	go func() {
		defer close(said)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			said <- string(buf[:n])
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		for range said { // until the reader has ended
		}
	})
	return said
}

func await(t *testing.T, said <-chan string, want string) {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case s := <-said:
			if s == want {
				return
			}
		case <-limit:
			t.Fatalf("systemd was not told %s", want)
		}
	}
}

// TestObserve is the life of an agent that only looks: against a real database, a
// real conntrack table and real devices.
func TestObserve(t *testing.T) {
	kernelReady(t)
	said := notifications(t)
	t.Setenv("WATCHDOG_USEC", "400000")
	d := newDatabase(t)
	d.wire(t)
	tuples, _ := conns(t, 3, 4)
	r := start(t, testConfig(t, d))
	await(t, said, "READY=1")
	await(t, said, "WATCHDOG=1")
	await(t, said, "WATCHDOG=1")
	r.see(tuples...)
	eventually(t, "the connections are candidates", func() bool { return r.states()[engine.Observed] == 3 })
	if out := run(t, "tc qdisc show"); strings.Contains(out, "clsact") {
		t.Errorf("observe mode has touched the ports:\n%s", out)
	}
	askAll(t, r, tuples[0])

	// The database is restarted: what ovs-vswitchd has not written again is unknown.
	d.stop()
	eventually(t, "the loss is noticed", func() bool { return r.health("ovsdb") == control.HealthFailed })
	if r.ready() {
		t.Error("ready without a database")
	}
	d.start()
	d.report("p0", 1)
	d.report("p1", 2)
	r.usable(2)
	eventually(t, "ready again", r.ready)

	began := time.Now()
	if err := r.end(); err != nil {
		t.Errorf("stopped with: %v", err)
	}
	if took := time.Since(began); took > stopTime {
		t.Errorf("the stop took %v", took)
	}
	await(t, said, "STOPPING=1")
	if _, err := control.Dial(t.Context(), r.cfg.Control.Path); err == nil {
		t.Error("the socket still answers")
	}
}

// askAll asks for every answer of the control API over the socket.
func askAll(t *testing.T, r *running, tuple flows.Tuple) {
	t.Helper()
	c, err := control.Dial(t.Context(), r.cfg.Control.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	status, err := c.Show(t.Context())
	if err != nil || !status.Ready || status.Mode != control.ModeObserve || len(status.Components) != len(r.parts) {
		t.Errorf("show: %+v, %v", status, err)
	}
	for _, component := range status.Components {
		if component.Health == control.HealthFailed {
			t.Errorf("%s: %s", component.Name, component.LastError)
		}
	}
	n := 0
	_, err = c.Sessions(t.Context(), control.Filter{}, func(s control.Session) error {
		if s.State != control.StateCandidate || s.Verdict != flows.Offload || s.In == "" || s.Out == "" {
			t.Errorf("session %+v", s)
		}
		n++
		return nil
	})
	if err != nil || n != 3 {
		t.Errorf("%d sessions, %v", n, err)
	}
	why, err := c.Why(t.Context(), control.Question{Tuple: tuple.Reverse()})
	if err != nil || len(why.Entries) != 1 || why.Entries[0].Reason != flows.MarkOffload || why.Entries[0].Dir != flows.Reply {
		t.Errorf("why: %+v, %v", why, err)
	}
	tuple.SrcPort++
	if why, err := c.Why(t.Context(), control.Question{Tuple: tuple}); err != nil || why.Reason != flows.Gone {
		t.Errorf("why of no connection: %+v, %v", why, err)
	}
	stats, err := c.Stats(t.Context())
	if err != nil || !slices.ContainsFunc(stats, func(s control.Stat) bool { return s.Name == "dumps" && s.Value > 0 }) {
		t.Errorf("stats: %+v, %v", stats, err)
	}
}

// enforcing starts an agent in front of a model of an eswitch, with n connections
// that are offloaded.
func enforcing(t *testing.T, n int, change func(*Config, *model.Config)) (*running, *model.Model, *database, func(i int)) {
	t.Helper()
	kernelReady(t)
	d := newDatabase(t)
	a, b := d.wire(t)
	cfg, modelConfig := testConfig(t, d), model.Config{}
	cfg.Engine.Enforce = true
	if change != nil {
		change(&cfg, &modelConfig)
	}
	m := model.New(modelConfig, a, b)
	cfg.driver = m
	r := start(t, cfg)
	tuples, remove := conns(t, n, 4)
	r.see(tuples...)
	eventually(t, "all are offloaded", func() bool { return r.states()[engine.Offloaded] == n && m.Len() == 2*n })
	return r, m, d, remove
}

func TestEnforce(t *testing.T) {
	r, m, d, remove := enforcing(t, 3, nil)
	remove(1)
	eventually(t, "the rules of a connection that ended are out", func() bool { return m.Len() == 4 })

	d.vsctl("set interface p0 external_ids:flowshunt=off")
	eventually(t, "the rules of a port that opted out are out", func() bool { return m.Len() == 0 })
	d.vsctl("remove interface p0 external_ids flowshunt")
	eventually(t, "they come back", func() bool { return m.Len() == 4 })

	run(t, "ip link set q1 down")
	eventually(t, "the rules of a port without carrier are out", func() bool { return m.Len() == 0 })
	run(t, "ip link set q1 up")
	eventually(t, "they come back", func() bool { return m.Len() == 4 })

	// Another VLAN is another network: what was seen before says nothing.
	d.vsctl("set port p0 tag=7")
	eventually(t, "the rules of a port in another VLAN are out", func() bool { return m.Len() == 0 })

	d.vsctl("set open_vswitch . other_config:hw-offload=true")
	eventually(t, "observe is forced", func() bool { return r.ports.now.Load().forced == flows.OVSHWOffload })
	eventually(t, "the ports are given to OVS", func() bool {
		links, err := m.Links(t.Context())
		return err == nil && len(links) == 0
	})
}

func TestStopTakesRulesOut(t *testing.T) {
	r, m, _, _ := enforcing(t, 5, nil)
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if m.Len() != 0 {
		t.Errorf("%d rules are left", m.Len())
	}
}

func TestStopKeepsRules(t *testing.T) {
	r, m, _, _ := enforcing(t, 5, func(c *Config, _ *model.Config) { c.KeepOnExit = true })
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if m.Len() != 10 {
		t.Errorf("%d rules are left, want all 10", m.Len())
	}
}

// slowPatch answers when it is told to.
type slowPatch struct {
	patch
	answer chan struct{}
}

func (p *slowPatch) Forward(ctx context.Context, q path.Question, now flows.Instant) (path.Forwarding, error) {
	if p.broken.Load() {
		<-p.answer
	}
	return p.patch.Forward(ctx, q, now)
}

// What is in doubt is answered before the rules are left alone.
func TestStopKeepsNothingInDoubt(t *testing.T) {
	ovs := &slowPatch{answer: make(chan struct{})}
	r, m, _, _ := enforcing(t, 5, func(c *Config, _ *model.Config) {
		c.KeepOnExit, c.judge = true, ovs
		c.Engine.ValidateWithin = patience
	})
	ovs.broken.Store(true)
	r.doubts.raise("test", engine.PathsDoubted{})
	eventually(t, "all are in doubt", func() bool {
		n := 0
		err := r.loop.ask(t.Context(), func(e *engine.Engine) { n = e.Doubted() })
		return err == nil && n == 5
	})
	time.AfterFunc(20*tick, func() { close(ovs.answer) })
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if m.Len() != 0 {
		t.Errorf("%d rules are left that OVS would not follow", m.Len())
	}
}

// An executor that fails ends the agent, and the rules go all the same.
func TestFailureTakesRulesOut(t *testing.T) {
	r, m, _, _ := enforcing(t, 5, nil)
	if err := r.control.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		if err == nil || strings.Count(err.Error(), "serve") != 1 {
			t.Errorf("ended with: %v", err)
		}
		r.ended <- nil
	case <-time.After(patience):
		t.Fatal("the agent goes on, deaf")
	}
	if m.Len() != 0 {
		t.Errorf("%d rules are left", m.Len())
	}
}

// TestRemovalStorm: from the event to the last of 1,000 removals, 100 ms.
func TestRemovalStorm(t *testing.T) {
	const n, want = 1000, 100 * time.Millisecond
	r, m, _, _ := enforcing(t, n, nil)
	best := time.Hour
	for range 3 {
		eventually(t, "all are offloaded", func() bool { return r.states()[engine.Offloaded] == n })
		began := time.Now()
		r.loop.post(engine.PortsChanged{})
		eventually(t, "all rules are out", func() bool { return m.Len() == 0 })
		best = min(best, time.Since(began))
	}
	t.Logf("%d sessions removed in %v", n, best)
	if best > want {
		t.Errorf("%d removals took %v, want %v", n, best, want)
	}
}

// A second agent finds the first and touches nothing.
func TestSecondAgent(t *testing.T) {
	r, m, _, _ := enforcing(t, 2, nil)
	cfg := r.cfg
	cfg.Engine.Enforce = false
	if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "control") {
		t.Errorf("a second agent: %v", err)
	}
	if m.Len() != 4 {
		t.Errorf("a second agent left %d of 4 rules", m.Len())
	}
}

func TestStartErrors(t *testing.T) {
	kernelReady(t)
	d := newDatabase(t)
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"configuration", func(c *Config) { c.PollInterval = 0 }, []string{"configuration", "poll interval"}},
		{"no database", func(c *Config) { c.OVSDB = "unix:" + filepath.Join(d.dir, "nothing") }, []string{"ovsdb", "is Open vSwitch installed and running?"}},
		{"bad endpoint", func(c *Config) { c.OVSDB = "carrier-pigeon:1" }, []string{"ovsdb", "carrier-pigeon"}},
		{"control group", func(c *Config) { c.Control.Group = "nobody-has-this-group" }, []string{"control", "nobody-has-this-group"}},
		{"conntrack", func(*Config) { sysctl(t, "nf_conntrack_acct", "0") }, []string{"conntrack", "sysctl -w net.netfilter.nf_conntrack_acct=1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig(t, d)
			cfg.OVSWait = 300 * time.Millisecond
			tt.change(&cfg)
			err := Run(t.Context(), cfg)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

// What an earlier agent left half done goes, or nothing is enforced.
func TestLeftovers(t *testing.T) {
	kernelReady(t)
	d := newDatabase(t)
	a, b := d.wire(t)
	stuck := true
	m := model.New(model.Config{Fail: func(c eswitch.Change) error {
		if stuck && c.Op == eswitch.Delete && c.Ref.Link == b {
			return fmt.Errorf("device busy")
		}
		return nil
	}}, a, b)
	before := eswitch.New(m, eswitch.Config{})
	for _, link := range []int32{a, b} {
		if err := before.PreparePort(t.Context(), link); err != nil {
			t.Fatal(err)
		}
	}
	cfg := testConfig(t, d)
	cfg.driver, cfg.Engine.Enforce = m, true
	tuple := entry("10.0.0.1").Key.Tuple
	left := flows.Session{ID: 77, Rules: []flows.Rule{
		{Dir: flows.Reply, In: b, Out: a, Frame: flows.Frame{SrcMAC: flows.MAC{4}, DstMAC: flows.MAC{2}}, Tuple: tuple.Reverse()},
	}}
	if res := before.Install(t.Context(), []flows.Session{left}); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "device busy") {
		t.Errorf("the leftovers stay, and the agent says: %v", err)
	}
	stuck = false
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	agent, err := open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer agent.close()
	if m.Len() != 0 {
		t.Errorf("%d rules are left", m.Len())
	}
	// What was opened and never run is closed here: the watcher closes at its end.
	cancel()
	_ = agent.links.Run(ctx)
	runtime.KeepAlive(agent)
}
