// Package ovsdbtest runs private ovsdb-servers for tests, and a proxy that spoils what
// they say.
package ovsdbtest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Where Debian's packages put the schemas.
const (
	OpenVSwitch = "/usr/share/openvswitch/vswitch.ovsschema"
	Southbound  = "/usr/share/ovn/ovn-sb.ovsschema"
	Northbound  = "/usr/share/ovn/ovn-nb.ovsschema"
)

// Patience is how long a test waits for a state that must come.
const Patience = 30 * time.Second

// Server is a private ovsdb-server.
type Server struct {
	Dir     string   // its own; all paths are in it
	Socket  string   // where it listens
	Control string   // what ovs-appctl takes
	File    string   // the database
	Schema  string   // of the database, a path
	Args    []string // more arguments, for the next Start

	t   testing.TB
	cmd *exec.Cmd
}

// New returns a server with an empty database in its file that does not run yet. The test is
// skipped where Open vSwitch, or the schema, is not installed.
func New(t testing.TB, schema string) *Server {
	t.Helper()
	for _, tool := range []string{"ovsdb-server", "ovsdb-tool", "ovsdb-client", "ovs-vsctl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	if _, err := os.Stat(schema); err != nil {
		t.Skipf("the schema is not installed: %v", err)
	}
	dir := TempDir(t)
	s := &Server{t: t, Dir: dir, Socket: filepath.Join(dir, "db.sock"), Control: filepath.Join(dir, "ctl"),
		File: filepath.Join(dir, "conf.db"), Schema: schema}
	s.Create()
	t.Cleanup(s.Kill)
	return s
}

// Start returns a running server with an empty database.
func Start(t testing.TB, schema string) *Server {
	t.Helper()
	s := New(t, schema)
	s.Start()
	return s
}

// TempDir is t.TempDir with a path that leaves room for the 107 bytes that the address of a
// unix socket may have.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fs-ovsdb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Endpoint is where clients reach the server.
func (s *Server) Endpoint() string { return "unix:" + s.Socket }

// Create replaces the database file by an empty one.
func (s *Server) Create() {
	s.t.Helper()
	_ = os.Remove(s.File)
	s.Run("ovsdb-tool", "create", s.File, s.Schema)
}

// Start starts the server and waits until it listens.
func (s *Server) Start() {
	s.t.Helper()
	_, _ = os.Remove(s.Socket), os.Remove(s.Control)
	s.cmd = exec.Command("ovsdb-server", append([]string{s.File, "--remote=punix:" + s.Socket, "--no-chdir",
		"--unixctl=" + s.Control, "-vconsole:off", "-vsyslog:off"}, s.Args...)...)
	var stderr bytes.Buffer
	s.cmd.Stderr = &stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if !Eventually(func() bool { return listens(s.Socket) && listens(s.Control) }) {
		s.t.Fatalf("ovsdb-server does not listen: %s", stderr.String())
	}
}

func listens(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// Listen adds a remote such as "ptcp:0:127.0.0.1" and returns the port that it got.
func (s *Server) Listen(remote string) (port string) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	s.Run("ovs-appctl", "--target="+s.Control, "ovsdb-server/add-remote", strings.Replace(remote, ":0:", ":"+port+":", 1))
	return port
}

// Kill ends the server at once.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Running reports whether the server was started, and not killed since.
func (s *Server) Running() bool { return s.cmd != nil }

// Signal sends a signal to the server.
func (s *Server) Signal(signal os.Signal) { _ = s.cmd.Process.Signal(signal) }

// Run runs a tool with the server's directory for everything, and returns what it says.
func (s *Server) Run(name string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.Dir, "OVS_LOGDIR="+s.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(bytes.TrimSpace(out))
}

// VSCtl runs ovs-vsctl on the server itself, past any proxy.
func (s *Server) VSCtl(args ...string) string {
	s.t.Helper()
	return s.Run("ovs-vsctl", append([]string{"--no-wait", "--timeout=30", "--db=" + s.Endpoint()}, args...)...)
}

// Transact carries out operations (RFC 7047, section 5.2) in JSON, "," between them.
func (s *Server) Transact(database, operations string) string {
	s.t.Helper()
	out := s.Run("ovsdb-client", "transact", s.Endpoint(), `["`+database+`",`+operations+`]`)
	if strings.Contains(out, `"error"`) {
		s.t.Fatalf("transaction %s: %s", operations, out)
	}
	return out
}

// Eventually waits for something that cannot say when it happens.
func Eventually(good func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(Patience); time.Now().Before(end); <-tick.C {
		if good() {
			return true
		}
	}
	return false
}
