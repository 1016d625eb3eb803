package harness

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// PolicyDatabase is a database Flowshunt in an ovsdb-server of its own, which can go away while
// Open vSwitch's stays.
type PolicyDatabase struct {
	*Process

	w   *World
	dir string
}

// PolicyDatabase starts one with the shipped policies, until the test ends.
func (w *World) PolicyDatabase() *PolicyDatabase {
	w.T.Helper()
	p := &PolicyDatabase{w: w, dir: filepath.Join(w.Dir, "policies")}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		w.T.Fatal(err)
	}
	schema := filepath.Join(p.dir, "schema")
	if err := os.WriteFile(schema, []byte(w.Ctl("init", "--print-schema")), 0o600); err != nil {
		w.T.Fatal(err)
	}
	w.Run(w.T, "ovsdb-tool", "create", p.file(), schema)
	w.T.Cleanup(func() {
		p.Thaw()
		p.Stop()
		_ = os.RemoveAll(p.dir)
	})
	p.Begin()
	w.Ctl("init", "--db="+p.Endpoint(), "--policies=shipped")
	return p
}

func (p *PolicyDatabase) file() string { return filepath.Join(p.dir, "flowshunt.db") }

// Endpoint is where it listens.
func (p *PolicyDatabase) Endpoint() string { return "unix:" + filepath.Join(p.dir, "db.sock") }

// Begin starts the server, which runs already when it is new.
func (p *PolicyDatabase) Begin() {
	t := p.w.T
	t.Helper()
	file := filepath.Join(p.dir, "ovsdb-server")
	var err error
	p.Process, err = startProcess(p.w.contained([]string{"ovsdb-server", p.file(), "--remote=p" + p.Endpoint(), "-vconsole:off",
		"--unixctl=" + file + ".ctl", "--pidfile=" + file + ".pid", "--log-file=" + file + ".log"}))
	if err != nil {
		t.Fatal(err)
	}
	Within(t, 20*time.Second, "the policy database answers", func() error {
		_, err := p.w.Try("ovsdb-client", "--timeout=5", "list-dbs", p.Endpoint())
		return err
	})
}

// Kill ends the server at once. What it was told, stays.
func (p *PolicyDatabase) Kill() {
	p.w.T.Helper()
	p.Signal(p.w.T, syscall.SIGKILL)
	p.Wait(p.w.T, commandLimit)
}

// Freeze stops the server where it is: connections stay open, and nobody answers.
func (p *PolicyDatabase) Freeze() { p.Signal(p.w.T, syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (p *PolicyDatabase) Thaw() { p.thaw() }

// Ctl runs flowshuntctl on the database, without an agent, and returns what it says.
func (p *PolicyDatabase) Ctl(args ...string) string {
	p.w.T.Helper()
	return p.w.Ctl(p.args(args)...)
}

// Call starts flowshuntctl on the database.
func (p *PolicyDatabase) Call(args ...string) *Process {
	p.w.T.Helper()
	return p.w.Start(p.w.T, append([]string{Binary(p.w.T, "flowshuntctl")}, p.args(args)...)...)
}

func (p *PolicyDatabase) args(args []string) []string {
	return append([]string{"--db=" + p.Endpoint(), "--socket=" + filepath.Join(p.dir, "no-agent.sock")}, args...)
}

// ServePolicies has the node's own ovsdb-server serve a policy database until the test ends, as
// operators do, and returns what flowshuntctl says to it.
func (w *World) ServePolicies(flags ...string) string {
	w.T.Helper()
	w.T.Cleanup(func() {
		_, _ = w.Try("ovs-appctl", "-t", "ovsdb-server", "ovsdb-server/remove-db", "Flowshunt") // it may have forgotten it
		_ = os.Remove(filepath.Join(w.Dir, "flowshunt.db"))
	})
	return w.Ctl(append([]string{"init"}, flags...)...)
}
