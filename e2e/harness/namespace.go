package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// commandLimit bounds commands that should take a moment. Generous: emulated
// machines are ten times slower than real ones.
const commandLimit = 60 * time.Second

// Namespace is a network namespace and the environment that commands get in it.
type Namespace struct {
	Name string   // as `ip netns` knows it
	Env  []string // NAME=VALUE, on top of the test's own
}

// addNamespace creates a namespace whose name no other process uses.
func addNamespace(name string) (*Namespace, error) {
	ns := &Namespace{Name: fmt.Sprintf("flowshunt-%d-%s", os.Getpid(), name)}
	if out, err := exec.Command("ip", "netns", "add", ns.Name).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ip netns add %s: %w: %s", ns.Name, err, out)
	}
	if _, err := ns.Try("ip", "link", "set", "lo", "up"); err != nil {
		ns.remove()
		return nil, err
	}
	return ns, nil
}

func (ns *Namespace) remove() {
	_ = exec.Command("ip", "netns", "del", ns.Name).Run()
}

func (ns *Namespace) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns.Name}, args...)...)
	cmd.Env = append(os.Environ(), ns.Env...)
	return cmd
}

// Try runs a command and returns what it wrote to stdout; the error carries
// what it wrote to stderr.
func (ns *Namespace) Try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	var stderr strings.Builder
	cmd := ns.command(ctx, args)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), err
}

// Run is Try for commands that must succeed.
func (ns *Namespace) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := ns.Try(args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// Sh runs a line of shell that must succeed.
func (ns *Namespace) Sh(t testing.TB, line string) string {
	t.Helper()
	return ns.Run(t, "sh", "-ec", line)
}

// Start runs a command in the background until the test ends.
func (ns *Namespace) Start(t testing.TB, args ...string) *Process {
	t.Helper()
	p, err := startProcess(ns.command(context.Background(), args))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}
