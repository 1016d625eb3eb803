package ovsdb

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// withPorts returns a server with two ports on br0, behind a proxy.
func withPorts(t *testing.T) (*server, *ovsdbtest.Proxy) {
	t.Helper()
	s := newServer(t)
	s.VSCtl("init", "--", "add-br", "br0", "--", "add-port", "br0", "p1", "--", "add-port", "br0", "p2",
		"--", "set", "Interface", "p1", "ifindex=11", "--", "set", "Interface", "p2", "ifindex=12")
	return s, ovsdbtest.NewProxy(t, s.Server)
}

func samePorts(t *testing.T, want, got *Snapshot) {
	t.Helper()
	for _, c := range Diff(want, got) {
		if c.Kind != ConnectionChanged {
			t.Errorf("unexpected %v: %+v -> %+v", c.Kind, c.Old, c.New)
		}
	}
}

func TestReconnectKeepsContentAndIDs(t *testing.T) {
	s, p := withPorts(t)
	inv := follow(t, p.Endpoint())
	before := await(t, inv, "ports", has("p2"))
	if before.Err != nil {
		t.Errorf("error while connected: %v", before.Err)
	}

	p.Set(ovsdbtest.Fault{Cut: true})
	p.CutAll()
	during := await(t, inv, "the loss", disconnected)
	samePorts(t, before, during)
	if !during.Since.After(before.Since) || !during.Synced {
		t.Errorf("since %v, before %v, synced %v", during.Since, before.Since, during.Synced)
	}
	s.VSCtl("del-port", "p2", "--", "add-port", "br0", "p3")

	p.Set(ovsdbtest.Fault{})
	after := await(t, inv, "the changed database", has("p3"))
	if after.Err != nil || !after.Since.After(during.Since) {
		t.Errorf("error %v, since %v", after.Err, after.Since)
	}
	old, _ := before.PortByName("p1")
	if now, ok := after.PortByName("p1"); !ok || now.ID != old.ID {
		t.Errorf("p1 changed its id: %+v -> %+v", old, now)
	}
	if _, ok := after.PortByName("p2"); ok {
		t.Error("p2 is still there")
	}
}

// Every length at which a connection can be cut, stalled or garbled ends in the
// same place: nothing wrong is published, and the next connection reads all.
func TestFaultsAtEveryStage(t *testing.T) {
	t.Parallel()
	s, p := withPorts(t)
	reference := await(t, follow(t, "unix:"+s.Socket), "ports", has("p2"))
	for name, f := range map[string]ovsdbtest.Fault{"cut": {Cut: true}, "garble": {Garble: 0x80}, "stall": {Stall: true}} {
		t.Run(name, func(t *testing.T) {
			for _, after := range []int{0, 1, 20, 60, 1000, 20000, 27000, 29000} {
				f.After = after
				p.Set(f)
				inv := run(t, Config{Endpoint: p.Endpoint(), Inactivity: 300 * time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond})
				seen := await(t, inv, "the fault", func(s *Snapshot) bool { return s.Err != nil || s.Connected })
				if seen.Synced {
					samePortFacts(t, reference, seen)
				}
				p.Set(ovsdbtest.Fault{})
				p.CutAll()
				samePortFacts(t, reference, await(t, inv, "recovery", has("p2")))
			}
		})
	}
}

// samePortFacts compares but for the ids, which differ between inventories.
func samePortFacts(t *testing.T, want, got *Snapshot) {
	t.Helper()
	if len(want.Ports) != len(got.Ports) {
		t.Fatalf("%d ports, want %d", len(got.Ports), len(want.Ports))
	}
	for i := range want.Ports {
		a, b := want.Ports[i], got.Ports[i]
		if a.Name != b.Name || a.Ifindex != b.Ifindex || a.Bridge != b.Bridge {
			t.Errorf("port %+v, want %+v", b, a)
		}
	}
}

func TestUpdateCutInTheMiddle(t *testing.T) {
	t.Parallel()
	s, p := withPorts(t)
	inv := follow(t, p.Endpoint())
	before := await(t, inv, "ports", has("p2"))
	sent := 0 // what the server sends for the initial reading
	for _, extra := range []int{1, 50, 300} {
		if sent == 0 {
			p.Set(ovsdbtest.Fault{})
			sent = measure(t, p)
		}
		p.Set(ovsdbtest.Fault{After: sent + extra, Cut: true})
		p.CutAll()
		await(t, inv, "reconnection", func(n *Snapshot) bool { return n.Connected && n.Revision > before.Revision })
		count := p.Accepted()
		p.Set(ovsdbtest.Fault{})
		s.VSCtl("--if-exists", "del-port", "extra", "--", "add-port", "br0", "extra", "--", "set", "Port", "extra", "external_ids:x="+strings.Repeat("y", 500))
		after := await(t, inv, "the new port", func(n *Snapshot) bool { return has("extra")(n) && p.Accepted() > count })
		before = after
		s.VSCtl("del-port", "extra")
		before = await(t, inv, "its end", func(n *Snapshot) bool { return !has("extra")(n) && n.Connected })
	}
}

// measure returns how many bytes the server sends before the first update.
func measure(t *testing.T, p *ovsdbtest.Proxy) int {
	t.Helper()
	before := p.Said()
	await(t, follow(t, p.Endpoint()), "ports", has("p2"))
	return p.Said() - before
}

func TestStalledServerIsFound(t *testing.T) {
	t.Parallel()
	const inactivity = 500 * time.Millisecond
	for name, stop := range map[string]func(*server, *ovsdbtest.Proxy) (resume func()){
		"proxy swallows everything": func(s *server, p *ovsdbtest.Proxy) func() {
			p.Set(ovsdbtest.Fault{Stall: true})
			p.CutAll()
			return func() { p.Set(ovsdbtest.Fault{}) }
		},
		"server is stopped": func(s *server, p *ovsdbtest.Proxy) func() {
			s.Signal(syscall.SIGSTOP)
			return func() { s.Signal(syscall.SIGCONT) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := withPorts(t)
			inv := run(t, Config{Endpoint: p.Endpoint(), Inactivity: inactivity, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond})
			before := await(t, inv, "ports", has("p2"))
			begin := time.Now()
			resume := stop(s, p)
			lost := await(t, inv, "the stall", func(s *Snapshot) bool { return errors.Is(s.Err, client.ErrStalled) })
			t.Logf("found %v after the stall began, allowed are %v", time.Since(begin), inactivity)
			if !strings.Contains(lost.Err.Error(), "overloaded") {
				t.Errorf("no advice: %v", lost.Err)
			}
			samePorts(t, before, lost)
			resume()
			samePorts(t, before, await(t, inv, "recovery", connected))
		})
	}
}

func TestQuietServerIsNotStalled(t *testing.T) {
	t.Parallel()
	s, p := withPorts(t)
	inv := run(t, Config{Endpoint: p.Endpoint(), Inactivity: 1500 * time.Millisecond})
	await(t, inv, "ports", has("p2"))
	const echoes = 4 // of at least 30 bytes each, in more than the inactivity time
	begin := p.Requested()
	if !ovsdbtest.Eventually(func() bool { return p.Requested() >= begin+echoes*30 }) {
		t.Fatal("the server is not probed")
	}
	s.VSCtl("add-port", "br0", "late")
	await(t, inv, "the late port", has("late"))
	if n := p.Accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// A reading that takes several times the inactivity time is none as long as
// bytes come in.
func TestSlowServerIsNotStalled(t *testing.T) {
	t.Parallel()
	_, p := withPorts(t)
	p.Set(ovsdbtest.Fault{Drip: 30 * time.Millisecond, Chunk: 256})
	inv := run(t, Config{Endpoint: p.Endpoint(), Inactivity: time.Second})
	await(t, inv, "ports, bit by bit", has("p2"))
	if n := p.Accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// An echo reply that is queued behind a slow reading does not count as missing.
func TestSlowReadingDelaysEchoes(t *testing.T) {
	t.Parallel()
	_, p := withPorts(t)
	p.Set(ovsdbtest.Fault{Drip: 600 * time.Millisecond, Chunk: 4 << 10})
	inv := run(t, Config{Endpoint: p.Endpoint(), Inactivity: 1500 * time.Millisecond})
	await(t, inv, "ports, piece by piece", has("p2"))
}

func TestEndlessTrickleIsAStall(t *testing.T) {
	t.Parallel()
	_, p := withPorts(t)
	p.Set(ovsdbtest.Fault{Drip: 10 * time.Millisecond, Chunk: 1})
	inv := run(t, Config{Endpoint: p.Endpoint(), Inactivity: 100 * time.Millisecond})
	await(t, inv, "the stall", func(s *Snapshot) bool {
		return errors.Is(s.Err, client.ErrStalled) && strings.Contains(s.Err.Error(), "no complete message")
	})
}

func TestServerRestart(t *testing.T) {
	s, p := withPorts(t)
	inv := follow(t, p.Endpoint())
	before := await(t, inv, "ports", has("p2"))
	old, _ := before.PortByName("p1")

	s.Kill()
	lost := await(t, inv, "the loss", disconnected)
	samePorts(t, before, lost)
	// Changed meanwhile, by a server that nobody else can reach.
	copied := *s.Server
	other := server{&copied}
	other.Socket = filepath.Join(s.Dir, "other.sock")
	other.Start()
	other.VSCtl("del-port", "p2", "--", "add-port", "br0", "p3")
	other.Kill()
	s.Start()
	after := await(t, inv, "the changed database", has("p3"))
	if _, ok := after.PortByName("p2"); ok {
		t.Error("p2 is still there")
	}
	now, _ := after.PortByName("p1")
	if now.Ifindex != 11 || now.ID != old.ID {
		t.Errorf("p1 after a restart: ifindex %d, id %d -> %d", now.Ifindex, old.ID, now.ID)
	}
	s.VSCtl("set", "Interface", "p1", "ifindex=11")
	after = await(t, inv, "the ifindex again", func(s *Snapshot) bool { p, _ := s.PortByName("p1"); return p.Ifindex == 11 })
	if now, _ = after.PortByName("p1"); now.ID != old.ID {
		t.Errorf("p1 got another id: %d -> %d", old.ID, now.ID)
	}

	s.Kill()
	await(t, inv, "the second loss", disconnected)
	s.Create()
	s.Start()
	empty := await(t, inv, "the empty database", connected)
	if len(empty.Ports) != 0 || empty.Switch.Present {
		t.Errorf("empty database: %s", describe(empty))
	}
	s.VSCtl("init", "--", "add-br", "br0", "--", "add-port", "br0", "p1")
	again, _ := await(t, inv, "a new p1", has("p1")).PortByName("p1")
	for _, p := range append(before.Ports, after.Ports...) {
		if p.ID == again.ID {
			t.Errorf("id %d is used again", p.ID)
		}
	}
}

func TestManyConnections(t *testing.T) {
	t.Parallel()
	_, p := withPorts(t)
	inv := follow(t, p.Endpoint())
	before := await(t, inv, "ports", has("p2"))
	for range 50 {
		last := inv.Snapshot()
		p.CutAll()
		samePorts(t, before, await(t, inv, "another connection", func(s *Snapshot) bool { return s.Connected && s.Revision > last.Revision && s.Since.After(last.Since) }))
	}
	if n := p.Accepted(); n < 51 {
		t.Errorf("%d connections, want 51 or more", n)
	}
}

func TestSocketMissing(t *testing.T) {
	inv := follow(t, "unix:"+filepath.Join(ovsdbtest.TempDir(t), "none.sock"))
	s := await(t, inv, "the error", disconnected)
	if !errors.Is(s.Err, fs.ErrNotExist) || !strings.Contains(s.Err.Error(), "systemctl status openvswitch-switch") {
		t.Errorf("%v", s.Err)
	}
	if s.Synced || len(s.Ports) != 0 {
		t.Errorf("content without a connection: %s", describe(s))
	}
}

func TestNobodyListens(t *testing.T) {
	path := filepath.Join(ovsdbtest.TempDir(t), "dead.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	s := await(t, follow(t, "unix:"+path), "the error", disconnected)
	if !errors.Is(s.Err, syscall.ECONNREFUSED) || !strings.Contains(s.Err.Error(), "nobody listens") {
		t.Errorf("%v", s.Err)
	}
}

func TestDatabaseNotServed(t *testing.T) {
	s := newServer(t)
	s.Kill()
	if err := os.WriteFile(filepath.Join(s.Dir, "other.ovsschema"),
		[]byte(`{"name":"Other","version":"1.0.0","tables":{"T":{"columns":{"c":{"type":"string"}}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(s.File)
	s.Run("ovsdb-tool", "create", s.File, filepath.Join(s.Dir, "other.ovsschema"))
	s.Start()
	inv := follow(t, "unix:"+s.Socket)
	got := await(t, inv, "the error", disconnected)
	if !errors.Is(got.Err, client.ErrNoDatabase) || !strings.Contains(got.Err.Error(), `"Other"`) || !strings.Contains(got.Err.Error(), "ovsdb-client list-dbs unix:") {
		t.Errorf("%v", got.Err)
	}
	s.Kill()
	s.Create()
	s.Start()
	await(t, inv, "the right database", connected)
}

func TestTCP(t *testing.T) {
	s, _ := withPorts(t)
	await(t, follow(t, "tcp:127.0.0.1:"+s.Listen("ptcp:0:127.0.0.1")), "ports", has("p2"))
}

func TestDatabaseRemovedWhileConnected(t *testing.T) {
	s, p := withPorts(t)
	inv := follow(t, p.Endpoint())
	before := await(t, inv, "ports", has("p2"))
	ctl := "--target=" + filepath.Join(s.Dir, "ctl")
	s.Run("ovs-appctl", ctl, "ovsdb-server/remove-db", database)
	samePorts(t, before, await(t, inv, "the loss", func(s *Snapshot) bool { return !s.Connected && errors.Is(s.Err, client.ErrNoDatabase) }))
	s.Run("ovs-appctl", ctl, "ovsdb-server/add-db", s.File)
	await(t, inv, "recovery", has("p2"))
}
