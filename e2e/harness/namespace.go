package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// inside runs f on a thread that is in the namespace. What f starts is in it
// too, at a tenth of the price of `ip netns exec`, which also mounts a /sys of
// the namespace: see contained.
func (ns *Namespace) inside(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- func() error {
			fd, err := os.Open("/run/netns/" + ns.Name)
			if err != nil {
				return err
			}
			defer fd.Close()
			if err := unix.Setns(int(fd.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("setns %s: %w", ns.Name, err)
			}
			return f()
		}()
	}()
	return <-done
}

func (ns *Namespace) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), ns.Env...)
	return cmd
}

// contained is a command that sees the namespace's own /sys/class/net, as
// daemons should. `ip netns exec` replaces itself: the pid is the command's.
func (ns *Namespace) contained(args []string) *exec.Cmd {
	return ns.command(context.Background(), append([]string{"ip", "netns", "exec", ns.Name}, args...))
}

// Try runs a command and returns what it wrote to stdout; the error carries
// what it wrote to stderr.
func (ns *Namespace) Try(args ...string) (string, error) { return ns.try("", args) }

func (ns *Namespace) try(input string, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	var stdout, stderr strings.Builder
	cmd := ns.command(ctx, args)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	err := ns.inside(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), err
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

// Feed is Run for commands that read stdin, such as `ip -batch -`.
func (ns *Namespace) Feed(t testing.TB, input string, args ...string) string {
	t.Helper()
	out, err := ns.try(input, args)
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
	var p *Process
	err := ns.inside(func() (err error) {
		p, err = startProcess(ns.command(context.Background(), args))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}
