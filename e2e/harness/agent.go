package harness

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Binary is where a program of ours is: in $FLOWSHUNT_BIN, or bin/ of the
// repository.
func Binary(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("FLOWSHUNT_BIN")
	if dir == "" {
		dir = "../bin"
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v (make build; or set FLOWSHUNT_BIN)", err)
	}
	return path
}

// Agent is a running flowshuntd.
type Agent struct {
	*Process
	notify *net.UnixConn
}

// StartAgent starts flowshuntd in the node and does not wait for it. Its
// output goes to the log of a failed test.
func (w *World) StartAgent(flags ...string) *Agent {
	t := w.T
	t.Helper()
	path := filepath.Join(w.Dir, "notify.sock")
	_ = os.Remove(path)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	cmd := w.contained(append([]string{Binary(t, "flowshuntd")}, flags...))
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path)
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{Process: p, notify: conn}
	t.Cleanup(func() {
		a.Stop()
		if t.Failed() {
			t.Logf("flowshuntd:\n%s", tail(a.Output()))
		}
	})
	return a
}

// Agent starts flowshuntd and waits until it reports that it is ready.
func (w *World) Agent(flags ...string) *Agent {
	w.T.Helper()
	a := w.StartAgent(flags...)
	a.WaitReady(w.T, 30*time.Second)
	return a
}

// WaitReady waits for the READY=1 that an agent sends to systemd.
func (a *Agent) WaitReady(t testing.TB, limit time.Duration) {
	t.Helper()
	buf := make([]byte, 4096)
	Within(t, limit, "flowshuntd is ready", func() error {
		_ = a.notify.SetReadDeadline(time.Now().Add(pollInterval))
		n, err := a.notify.Read(buf)
		switch {
		case err == nil && strings.Contains("\n"+string(buf[:n])+"\n", "\nREADY=1\n"):
			return nil
		case !a.Running():
			t.Fatalf("flowshuntd has ended:\n%s", a.Output())
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		return fmt.Errorf("no READY=1 yet; its output:\n%s", a.Output())
	})
}

// Ctl runs flowshuntctl in the node and returns its output.
func (w *World) Ctl(args ...string) string {
	w.T.Helper()
	return w.Run(w.T, append([]string{Binary(w.T, "flowshuntctl")}, args...)...)
}

// TryCtl is Ctl for calls that may fail.
func (w *World) TryCtl(args ...string) (string, error) {
	w.T.Helper()
	return w.Try(append([]string{Binary(w.T, "flowshuntctl")}, args...)...)
}
