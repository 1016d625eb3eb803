package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// maxOutput bounds what is kept of a process's output; the newest is kept.
const maxOutput = 4 << 20

// Process is a command that runs in the background. Its methods may be called
// from several goroutines.
type Process struct {
	Stdin io.WriteCloser

	cmd  *exec.Cmd
	done chan struct{} // closed when the process was reaped

	mu  sync.Mutex
	out []byte
}

// startProcess starts a command in a process group of its own, so that Stop
// gets its children too.
func startProcess(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = p, p
	cmd.WaitDelay = time.Second // a child may hold the pipes open
	var err error
	if p.Stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Write collects output; it is for the process itself.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, b...)
	if len(p.out) > maxOutput {
		p.out = bytes.Clone(p.out[len(p.out)-maxOutput/2:])
	}
	return len(b), nil
}

// Output is what the process has written so far, stdout and stderr as one.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.out)
}

// Pid is the process's id; it is also that of its process group.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process alone.
func (p *Process) Signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal %v: %v", sig, err)
	}
}

// Running says whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Wait waits for the end of the process and returns its exit status, or minus
// the number of the signal that ended it.
func (p *Process) Wait(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		t.Fatalf("%s: still running after %v; its output:\n%s", p, limit, p.Output())
	}
	ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return -int(ws.Signal())
	}
	return ws.ExitStatus()
}

// WaitOutput waits until the output matches a regular expression and returns
// the match and its groups.
func (p *Process) WaitOutput(t testing.TB, limit time.Duration, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var match []string
	Within(t, limit, fmt.Sprintf("%s says %q", p, pattern), func() error {
		if match = re.FindStringSubmatch(p.Output()); match != nil {
			return nil
		}
		if !p.Running() {
			return fmt.Errorf("it has ended; its output:\n%s", p.Output())
		}
		return errors.New("its output:\n" + p.Output())
	})
	return match
}

// Stop ends the process and its children, and waits until it is gone.
func (p *Process) Stop() {
	if !p.Running() {
		return
	}
	_ = syscall.Kill(-p.Pid(), syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
		<-p.done
	}
}

// String is the command line without the namespace that it runs in.
func (p *Process) String() string {
	args := p.cmd.Args
	if len(args) > 4 && args[1] == "netns" {
		args = args[4:]
	}
	return strings.Join(args, " ")
}
