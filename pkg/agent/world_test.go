package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ti-mo/conntrack"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/path"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// patience is how long a test waits for a state that must come.
const patience = 20 * time.Second

func within(t *testing.T, limit time.Duration, what string, good func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(limit); !good(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func eventually(t *testing.T, what string, good func() bool) {
	t.Helper()
	within(t, patience, what, good)
}

func run(t *testing.T, command string) string {
	t.Helper()
	words := strings.Fields(command)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// database is a private ovsdb-server.
type database struct {
	t            *testing.T
	dir, address string
	cmd          *exec.Cmd
}

const schema = "/usr/share/openvswitch/vswitch.ovsschema"

func newDatabase(t *testing.T) *database {
	t.Helper()
	if _, err := os.Stat(schema); err != nil {
		t.Skipf("ovsdb-server: Open vSwitch's schema is not installed: %v", err)
	}
	dir, err := os.MkdirTemp("", "fs-agent-") // short, for the address of a unix socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &database{t: t, dir: dir, address: "unix:" + filepath.Join(dir, "db.sock")}
	run(t, "ovsdb-tool create "+filepath.Join(dir, "conf.db")+" "+schema)
	d.start()
	t.Cleanup(d.stop)
	d.vsctl("init")
	return d
}

func (d *database) start() {
	d.t.Helper()
	d.cmd = exec.Command("ovsdb-server", filepath.Join(d.dir, "conf.db"), "--remote=p"+d.address, "--no-chdir",
		"--unixctl="+filepath.Join(d.dir, "ctl"), "-vconsole:off", "-vsyslog:off")
	if err := d.cmd.Start(); err != nil {
		d.t.Skipf("ovsdb-server: %v", err)
	}
	eventually(d.t, "ovsdb-server listens", func() bool {
		conn, err := net.Dial("unix", filepath.Join(d.dir, "db.sock"))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

func (d *database) stop() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
		d.cmd = nil
		_ = os.Remove(filepath.Join(d.dir, "db.sock"))
	}
}

func (d *database) vsctl(args string) string {
	d.t.Helper()
	return run(d.t, "ovs-vsctl --no-wait --timeout=20 --db="+d.address+" "+args)
}

// wire makes two ports that are patched to each other, as ovs-vswitchd would
// report them.
func (d *database) wire(t *testing.T) (a, b int32) {
	t.Helper()
	d.vsctl("add-br br0")
	for i, name := range []string{"p0", "p1"} {
		peer := "q" + name[1:]
		run(t, "ip link add "+name+" type veth peer name "+peer)
		t.Cleanup(func() { run(t, "ip link del "+name) })
		run(t, "ip link set "+name+" up")
		run(t, "ip link set "+peer+" up")
		d.vsctl("add-port br0 " + name)
		d.report(name, i+1)
	}
	return index(t, "p0"), index(t, "p1")
}

// report writes what ovs-vswitchd writes of a port.
func (d *database) report(name string, ofport int) {
	d.t.Helper()
	d.vsctl(fmt.Sprintf("set interface %s ofport=%d ifindex=%d", name, ofport, index(d.t, name)))
}

func index(t *testing.T, name string) int32 {
	t.Helper()
	dev, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return int32(dev.Index)
}

// logBuffer is a log that several goroutines write.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// kernelReady sets what an agent demands of conntrack.
func kernelReady(t *testing.T) {
	t.Helper()
	needNamespace(t)
	sysctl(t, "nf_conntrack_events", "1")
	sysctl(t, "nf_conntrack_acct", "1")
	sysctl(t, "nf_conntrack_timestamp", "1")
}

func testConfig(t *testing.T, d *database) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.OVSDB, cfg.OVSRundir = d.address, d.dir
	cfg.Control = control.Socket{Path: filepath.Join(d.dir, "control.sock")}
	cfg.PollInterval, cfg.CountInterval = 50*time.Millisecond, 50*time.Millisecond
	cfg.Selected, _ = path.ParseSelection("all")
	cfg.Wires = []path.Wire{{Ends: [2]string{"p0", "p1"}}}
	cfg.Engine.Mark.Offload = engine.MaskedMark{Value: 4, Mask: 4}
	cfg.Engine.IdleAfter = time.Hour
	cfg.judge = &patch{}
	return cfg
}

// patch is a switch that sends what enters p0 to p1, and the other way, and tracks in
// every zone. There is no ovs-vswitchd behind the databases of these tests.
type patch struct {
	ports  atomic.Pointer[path.Ports]
	doubts atomic.Int64
	broken atomic.Bool // it drops instead
}

func (p *patch) SetPorts(ports *path.Ports) { p.ports.Store(ports) }
func (p *patch) Doubt(flows.Instant)        { p.doubts.Add(1) }

func (p *patch) Forward(_ context.Context, q path.Question, _ flows.Instant) (path.Forwarding, error) {
	if p.broken.Load() {
		return path.Forwarding{}, &path.Refusal{Reason: flows.PathDropped, Detail: "as told"}
	}
	answer := path.Forwarding{Leaves: q.Frame, Tuple: q.Tuple, Plain: true}
	for _, s := range q.States {
		answer.Stands = append(answer.Stands, s.Stand())
	}
	for _, port := range p.ports.Load().All() {
		if port.Name != q.In.Name && port.Ifindex != 0 && port.Type != "internal" {
			answer.Out = port.ID
		}
	}
	return answer, nil
}

// Tunnels implements path.Forwarder.
func (p *patch) Tunnels(context.Context, path.Question, flows.Instant) ([]flows.Tunnel, error) {
	return nil, nil
}

// running is an agent that runs.
type running struct {
	*Agent
	t     *testing.T
	log   *logBuffer
	stop  context.CancelFunc
	ended chan error
	once  sync.Once
	err   error
}

func start(t *testing.T, cfg Config) *running {
	t.Helper()
	r := &running{t: t, log: &logBuffer{}, ended: make(chan error, 1)}
	cfg.Log = slog.New(slog.NewTextHandler(r.log, nil))
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	a, err := open(ctx, cfg)
	if err != nil {
		stop()
		t.Fatal(err)
	}
	r.Agent = a
	go func() {
		defer a.close()
		r.ended <- a.run(ctx)
	}()
	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Errorf("the agent ended with: %v", err)
		}
		if t.Failed() {
			t.Logf("the agent's log:\n%s", r.log)
		}
	})
	return r
}

// end stops the agent, if it is not stopped, and returns what it ended with.
func (r *running) end() error {
	r.once.Do(func() {
		r.stop()
		select {
		case r.err = <-r.ended:
		case <-time.After(patience):
			r.t.Fatalf("the agent does not stop; its log:\n%s", r.log)
		}
	})
	return r.err
}

// states returns how many sessions there are by state.
func (r *running) states() (n map[engine.State]int) {
	r.t.Helper()
	if err := r.loop.ask(r.t.Context(), func(g *engine.Engine) { n = g.Used() }); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// health returns that of a component, by name.
func (r *running) health(name string) control.Health {
	for _, c := range r.parts {
		if c.name == name {
			return c.get().Health
		}
	}
	r.t.Fatalf("no component %s", name)
	return 0
}

// usable waits until the agent can use n ports.
func (r *running) usable(n int) *portTable {
	r.t.Helper()
	var table *portTable
	eventually(r.t, "the ports are usable", func() bool {
		if table = r.ports.now.Load(); table == nil {
			return false
		}
		found := 0
		for _, p := range table.list {
			if p.reason == "" {
				found++
			}
		}
		return found == n
	})
	return table
}

// see makes the agent believe that it saw packets of connections, both ways, at the
// ends of the wire.
func (r *running) see(tuples ...flows.Tuple) {
	r.t.Helper()
	table := r.usable(2)
	var ids []flows.PortID
	for _, p := range table.list {
		if p.reason == "" {
			ids = append(ids, p.ID)
		}
	}
	a, b := flows.MAC{2, 0, 0, 0, 0, 1}, flows.MAC{2, 0, 0, 0, 0, 2}
	for _, t := range tuples {
		now := r.loop.clock.now()
		r.paths.Sighted(tap.Sighting{Port: ids[0], Frame: flows.Frame{SrcMAC: a, DstMAC: b}, Tuple: t, At: now})
		r.paths.Sighted(tap.Sighting{Port: ids[1], Frame: flows.Frame{SrcMAC: b, DstMAC: a}, Tuple: t.Reverse(), At: now})
	}
}

// conns creates n connections with a mark and returns their tuples.
func conns(t *testing.T, n int, mark uint32) (tuples []flows.Tuple, remove func(i int)) {
	t.Helper()
	c, err := conntrack.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []conntrack.Flow
	for i := range n {
		src := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		f := conntrack.NewFlow(17, conntrack.StatusAssured|conntrack.StatusSeenReply|conntrack.StatusConfirmed,
			src, netip.MustParseAddr("10.2.0.1"), 40000, 5201, 3600, mark)
		if err := c.Create(f); err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
		tuples = append(tuples, flows.Tuple{Src: src, Dst: netip.MustParseAddr("10.2.0.1"), SrcPort: 40000, DstPort: 5201, Proto: flows.UDP})
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Flush(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	return tuples, func(i int) {
		if err := c.Delete(list[i]); err != nil {
			t.Fatal(err)
		}
	}
}
