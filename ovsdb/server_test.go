package ovsdb

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const schemaFile = "/usr/share/openvswitch/vswitch.ovsschema"

// patience is how long a test waits for a state that must come.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a private ovsdb-server.
type server struct {
	t      testing.TB
	dir    string
	socket string
	file   string
	cmd    *exec.Cmd
}

// newServer starts an ovsdb-server with an empty Open_vSwitch database.
func newServer(t testing.TB) *server {
	t.Helper()
	for _, tool := range []string{"ovsdb-server", "ovsdb-tool", "ovs-vsctl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	if _, err := os.Stat(schemaFile); err != nil {
		t.Skipf("Open vSwitch's schema is not installed: %v", err)
	}
	dir := shortTempDir(t)
	s := &server{t: t, dir: dir, socket: filepath.Join(dir, "db.sock"), file: filepath.Join(dir, "conf.db")}
	s.create()
	s.start()
	t.Cleanup(func() { s.kill() })
	return s
}

// shortTempDir is t.TempDir with a path that leaves room for the 107 bytes that
// the address of a unix socket may have.
func shortTempDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "fs-ovsdb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// create replaces the database file by an empty one.
func (s *server) create() {
	s.t.Helper()
	_ = os.Remove(s.file)
	s.run("ovsdb-tool", "create", s.file, schemaFile)
}

func (s *server) start() {
	s.t.Helper()
	_ = os.Remove(s.socket)
	s.cmd = exec.Command("ovsdb-server", s.file, "--remote=punix:"+s.socket, "--no-chdir",
		"--unixctl="+filepath.Join(s.dir, "ctl"), "-vconsole:off", "-vsyslog:off")
	var stderr bytes.Buffer
	s.cmd.Stderr = &stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if !eventually(func() bool {
		conn, err := net.Dial("unix", s.socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}) {
		s.t.Fatalf("ovsdb-server does not listen: %s", stderr.String())
	}
}

// kill ends the server at once.
func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) run(name string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir, "OVS_LOGDIR="+s.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(bytes.TrimSpace(out))
}

// vsctl runs ovs-vsctl on the server itself, past any proxy.
func (s *server) vsctl(args ...string) string {
	s.t.Helper()
	return s.run("ovs-vsctl", append([]string{"--no-wait", "--timeout=30", "--db=unix:" + s.socket}, args...)...)
}

// eventually waits for something that cannot say when it happens.
func eventually(good func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if good() {
			return true
		}
	}
	return false
}

// follow runs an inventory of the endpoint until the test ends.
func follow(t testing.TB, endpoint string) *Inventory {
	t.Helper()
	return run(t, Config{Endpoint: endpoint, Inactivity: 10 * time.Second, MinBackoff: 5 * time.Millisecond, MaxBackoff: 50 * time.Millisecond})
}

func run(t testing.TB, cfg Config) *Inventory {
	t.Helper()
	inv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- inv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != context.Canceled {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not end with its context")
		}
	})
	return inv
}

// await waits for a snapshot, and fails the test with the newest one.
func await(t testing.TB, inv *Inventory, what string, good func(*Snapshot) bool) *Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := inv.Wait(ctx, good)
	if err != nil {
		t.Fatalf("waiting for %s: %v\nnewest: %s", what, err, describe(s))
	}
	return s
}

func connected(s *Snapshot) bool    { return s.Connected }
func disconnected(s *Snapshot) bool { return !s.Connected && s.Err != nil }

// has waits for a port of that name.
func has(name string) func(*Snapshot) bool {
	return func(s *Snapshot) bool { _, ok := s.PortByName(name); return ok && s.Connected }
}

func describe(s *Snapshot) string {
	text := fmt.Sprintf("revision %d, connected %v, synced %v, error %v, %+v", s.Revision, s.Connected, s.Synced, s.Err, s.Switch)
	for i, p := range s.Ports {
		if i == 10 {
			return text + fmt.Sprintf("\n... %d ports", len(s.Ports))
		}
		text += fmt.Sprintf("\n%+v", p)
	}
	return text
}
