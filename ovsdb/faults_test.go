package ovsdb

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// withPorts returns a server with two ports on br0, behind a proxy.
func withPorts(t *testing.T) (*server, *proxy) {
	t.Helper()
	s := newServer(t)
	s.vsctl("init", "--", "add-br", "br0", "--", "add-port", "br0", "p1", "--", "add-port", "br0", "p2",
		"--", "set", "Interface", "p1", "ifindex=11", "--", "set", "Interface", "p2", "ifindex=12")
	return s, newProxy(t, s)
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
	inv := follow(t, p.endpoint())
	before := await(t, inv, "ports", has("p2"))
	if before.Err != nil {
		t.Errorf("error while connected: %v", before.Err)
	}

	p.set(fault{cut: true})
	p.cutAll()
	during := await(t, inv, "the loss", disconnected)
	samePorts(t, before, during)
	if !during.Since.After(before.Since) || !during.Synced {
		t.Errorf("since %v, before %v, synced %v", during.Since, before.Since, during.Synced)
	}
	s.vsctl("del-port", "p2", "--", "add-port", "br0", "p3")

	p.set(fault{})
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
	reference := await(t, follow(t, "unix:"+s.socket), "ports", has("p2"))
	for name, f := range map[string]fault{"cut": {cut: true}, "garble": {garble: 0x80}, "stall": {stall: true}} {
		t.Run(name, func(t *testing.T) {
			for _, after := range []int{0, 1, 20, 60, 1000, 20000, 27000, 29000} {
				f.after = after
				p.set(f)
				inv := run(t, Config{Endpoint: p.endpoint(), Inactivity: 300 * time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond})
				seen := await(t, inv, "the fault", func(s *Snapshot) bool { return s.Err != nil || s.Connected })
				if seen.Synced {
					samePortFacts(t, reference, seen)
				}
				p.set(fault{})
				p.cutAll()
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
	inv := follow(t, p.endpoint())
	before := await(t, inv, "ports", has("p2"))
	sent := 0 // what the server sends for the initial reading
	for _, extra := range []int{1, 50, 300} {
		if sent == 0 {
			sent = measure(t, s)
		}
		p.set(fault{after: sent + extra, cut: true})
		p.cutAll()
		await(t, inv, "reconnection", func(n *Snapshot) bool { return n.Connected && n.Revision > before.Revision })
		count := p.accepted()
		p.set(fault{})
		s.vsctl("--if-exists", "del-port", "extra", "--", "add-port", "br0", "extra", "--", "set", "Port", "extra", "external_ids:x="+strings.Repeat("y", 500))
		after := await(t, inv, "the new port", func(n *Snapshot) bool { return has("extra")(n) && p.accepted() > count })
		before = after
		s.vsctl("del-port", "extra")
		before = await(t, inv, "its end", func(n *Snapshot) bool { return !has("extra")(n) && n.Connected })
	}
}

// measure returns how many bytes the server sends before the first update.
func measure(t *testing.T, s *server) int {
	t.Helper()
	conn, err := Endpoint{"unix", s.socket}.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counted := &countingConn{Conn: conn}
	w := newWire(counted, patience)
	_, err = newReplica().monitor(t.Context(), w)
	w.close()
	if err != nil {
		t.Fatal(err)
	}
	return counted.n
}

type countingConn struct {
	net.Conn
	n int
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n += n
	return n, err
}

func TestStalledServerIsFound(t *testing.T) {
	t.Parallel()
	const inactivity = 500 * time.Millisecond
	for name, stop := range map[string]func(*server, *proxy) (resume func()){
		"proxy swallows everything": func(s *server, p *proxy) func() {
			p.set(fault{stall: true})
			p.cutAll()
			return func() { p.set(fault{}) }
		},
		"server is stopped": func(s *server, p *proxy) func() {
			_ = s.cmd.Process.Signal(syscall.SIGSTOP)
			return func() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := withPorts(t)
			inv := run(t, Config{Endpoint: p.endpoint(), Inactivity: inactivity, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond})
			before := await(t, inv, "ports", has("p2"))
			begin := time.Now()
			resume := stop(s, p)
			lost := await(t, inv, "the stall", func(s *Snapshot) bool { return errors.Is(s.Err, ErrStalled) })
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
	inv := run(t, Config{Endpoint: p.endpoint(), Inactivity: 1500 * time.Millisecond})
	await(t, inv, "ports", has("p2"))
	const echoes = 4 // of at least 30 bytes each, in more than the inactivity time
	begin := p.requested()
	if !eventually(func() bool { return p.requested() >= begin+echoes*30 }) {
		t.Fatal("the server is not probed")
	}
	s.vsctl("add-port", "br0", "late")
	await(t, inv, "the late port", has("late"))
	if n := p.accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// A reading that takes several times the inactivity time is none as long as
// bytes come in.
func TestSlowServerIsNotStalled(t *testing.T) {
	t.Parallel()
	_, p := withPorts(t)
	p.set(fault{drip: 30 * time.Millisecond, chunk: 256})
	inv := run(t, Config{Endpoint: p.endpoint(), Inactivity: time.Second})
	await(t, inv, "ports, bit by bit", has("p2"))
	if n := p.accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// An echo reply that is queued behind a slow reading does not count as missing.
func TestSlowReadingDelaysEchoes(t *testing.T) {
	t.Parallel()
	_, p := withPorts(t)
	p.set(fault{drip: 600 * time.Millisecond, chunk: 4 << 10})
	inv := run(t, Config{Endpoint: p.endpoint(), Inactivity: 1500 * time.Millisecond})
	await(t, inv, "ports, piece by piece", has("p2"))
}

func TestEndlessTrickleIsAStall(t *testing.T) {
	t.Parallel()
	_, p := withPorts(t)
	p.set(fault{drip: 10 * time.Millisecond, chunk: 1})
	inv := run(t, Config{Endpoint: p.endpoint(), Inactivity: 100 * time.Millisecond})
	await(t, inv, "the stall", func(s *Snapshot) bool {
		return errors.Is(s.Err, ErrStalled) && strings.Contains(s.Err.Error(), "no complete message")
	})
}

func TestServerRestart(t *testing.T) {
	s, p := withPorts(t)
	inv := follow(t, p.endpoint())
	before := await(t, inv, "ports", has("p2"))
	old, _ := before.PortByName("p1")

	s.kill()
	lost := await(t, inv, "the loss", disconnected)
	samePorts(t, before, lost)
	// Changed meanwhile, by a server that nobody else can reach.
	other := *s
	other.socket = filepath.Join(s.dir, "other.sock")
	other.start()
	other.vsctl("del-port", "p2", "--", "add-port", "br0", "p3")
	other.kill()
	s.start()
	after := await(t, inv, "the changed database", has("p3"))
	if _, ok := after.PortByName("p2"); ok {
		t.Error("p2 is still there")
	}
	now, _ := after.PortByName("p1")
	if now.Ifindex != 11 || now.ID != old.ID {
		t.Errorf("p1 after a restart: ifindex %d, id %d -> %d", now.Ifindex, old.ID, now.ID)
	}
	s.vsctl("set", "Interface", "p1", "ifindex=11")
	after = await(t, inv, "the ifindex again", func(s *Snapshot) bool { p, _ := s.PortByName("p1"); return p.Ifindex == 11 })
	if now, _ = after.PortByName("p1"); now.ID != old.ID {
		t.Errorf("p1 got another id: %d -> %d", old.ID, now.ID)
	}

	s.kill()
	await(t, inv, "the second loss", disconnected)
	s.create()
	s.start()
	empty := await(t, inv, "the empty database", connected)
	if len(empty.Ports) != 0 || empty.Switch.Present {
		t.Errorf("empty database: %s", describe(empty))
	}
	s.vsctl("init", "--", "add-br", "br0", "--", "add-port", "br0", "p1")
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
	inv := follow(t, p.endpoint())
	before := await(t, inv, "ports", has("p2"))
	for range 50 {
		last := inv.Snapshot()
		p.cutAll()
		samePorts(t, before, await(t, inv, "another connection", func(s *Snapshot) bool { return s.Connected && s.Revision > last.Revision && s.Since.After(last.Since) }))
	}
	if n := p.accepted(); n < 51 {
		t.Errorf("%d connections, want 51 or more", n)
	}
}

func TestSocketMissing(t *testing.T) {
	inv := follow(t, "unix:"+filepath.Join(shortTempDir(t), "none.sock"))
	s := await(t, inv, "the error", disconnected)
	if !errors.Is(s.Err, fs.ErrNotExist) || !strings.Contains(s.Err.Error(), "systemctl status openvswitch-switch") {
		t.Errorf("%v", s.Err)
	}
	if s.Synced || len(s.Ports) != 0 {
		t.Errorf("content without a connection: %s", describe(s))
	}
}

func TestNobodyListens(t *testing.T) {
	path := filepath.Join(shortTempDir(t), "dead.sock")
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

func TestPermissionDenied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	s := newServer(t)
	for path, mode := range map[string]os.FileMode{s.dir: 0o755, s.socket: 0o600} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread is another user's now
		_ = unix.Setfsuid(65534)
		_, err := Endpoint{"unix", s.socket}.dial(t.Context())
		failed <- err
	}()
	err := <-failed
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "ls -l "+s.socket) {
		t.Errorf("%v", err)
	}
}

func TestDatabaseNotServed(t *testing.T) {
	s := newServer(t)
	s.kill()
	if err := os.WriteFile(filepath.Join(s.dir, "other.ovsschema"),
		[]byte(`{"name":"Other","version":"1.0.0","tables":{"T":{"columns":{"c":{"type":"string"}}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(s.file)
	s.run("ovsdb-tool", "create", s.file, filepath.Join(s.dir, "other.ovsschema"))
	s.start()
	inv := follow(t, "unix:"+s.socket)
	got := await(t, inv, "the error", disconnected)
	if !errors.Is(got.Err, ErrNoDatabase) || !strings.Contains(got.Err.Error(), `"Other"`) || !strings.Contains(got.Err.Error(), "ovsdb-client list-dbs unix:") {
		t.Errorf("%v", got.Err)
	}
	s.kill()
	s.create()
	s.start()
	await(t, inv, "the right database", connected)
}

func TestTCP(t *testing.T) {
	s, _ := withPorts(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := l.Addr().String()
	_ = l.Close()
	s.run("ovs-appctl", "--target="+filepath.Join(s.dir, "ctl"), "ovsdb-server/add-remote", "ptcp:"+endpoint[strings.LastIndex(endpoint, ":")+1:]+":127.0.0.1")
	await(t, follow(t, "tcp:"+endpoint), "ports", has("p2"))
}

func TestDatabaseRemovedWhileConnected(t *testing.T) {
	s, p := withPorts(t)
	inv := follow(t, p.endpoint())
	before := await(t, inv, "ports", has("p2"))
	ctl := "--target=" + filepath.Join(s.dir, "ctl")
	s.run("ovs-appctl", ctl, "ovsdb-server/remove-db", database)
	samePorts(t, before, await(t, inv, "the loss", func(s *Snapshot) bool { return !s.Connected && errors.Is(s.Err, ErrNoDatabase) }))
	s.run("ovs-appctl", ctl, "ovsdb-server/add-db", s.file)
	await(t, inv, "recovery", has("p2"))
}
