// Command vm runs one command inside a throw-away virtual machine that boots a
// Debian kernel over this machine's own file system, and returns its status.
//
//	go run ./hack/vm -kernel 6.12 -share build -- bash -c 'uname -r; exit 3'
//	go run ./hack/vm -kernel 6.12 -headers
//
// The guest sees the host's root read-only; what it writes goes to memory,
// except below -share directories, which are the host's own. The command's
// output comes out unchanged (stdout and stderr as one stream); the kernel's
// log stays apart and is shown only when the guest dies, or with -v.
//
// With -headers it runs nothing and prints the folder in which modules for that
// kernel are built (make -C), fetching it on first use.
//
// It exits with the command's status, 124 when the time limit passed and 125
// when the machine itself failed (no kernel, no QEMU, a kernel panic).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Exit statuses that are not the command's own.
const (
	exitTimeout = 124
	exitMachine = 125
)

// list is a repeatable string flag.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

type config struct {
	kernel  string
	env     []string
	share   []string
	argv    []string
	timeout time.Duration
	memory  int
	cpus    int
	count   bool
	verbose bool
	log     string
	append  string
	headers bool
}

func main() {
	runtime.LockOSThread() // QEMU dies with the thread that started it
	cfg, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status, err := run(ctx, cfg)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
	}
	os.Exit(status)
}

func parse(args []string) (config, error) {
	var c config
	fs := flag.NewFlagSet("vm", flag.ContinueOnError)
	fs.StringVar(&c.kernel, "kernel", "6.1", "kernel series to boot: 6.1 or 6.12")
	fs.Var((*list)(&c.env), "env", "pass `NAME` or NAME=VALUE to the command (repeatable)")
	fs.Var((*list)(&c.share), "share", "`DIR` that the guest may write to (repeatable)")
	fs.DurationVar(&c.timeout, "timeout", 10*time.Minute, "limit for the whole run")
	fs.IntVar(&c.memory, "memory", 4096, "guest memory in MiB")
	fs.IntVar(&c.cpus, "cpus", 2, "virtual CPUs")
	fs.BoolVar(&c.count, "count", false, "where the machine is emulated, let its clock count instructions: what it takes for them does not depend on what else runs here")
	fs.BoolVar(&c.verbose, "v", false, "copy the kernel's log to stderr")
	fs.StringVar(&c.log, "log", "", "write the kernel's log to `FILE`")
	fs.StringVar(&c.append, "append", os.Getenv("VM_APPEND"), "more `words` for the kernel's command line; default: VM_APPEND")
	fs.BoolVar(&c.headers, "headers", false, "print the folder to build modules in, and exit")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	c.argv = fs.Args()
	if len(c.argv) == 0 && !c.headers {
		return c, errors.New("no command given; usage: vm [flags] -- command [argument...]")
	}
	for i, e := range c.env {
		if !strings.Contains(e, "=") {
			c.env[i] = e + "=" + os.Getenv(e)
		}
	}
	return c, nil
}

// run boots the machine and returns the status to exit with.
func run(ctx context.Context, cfg config) (int, error) {
	cache, err := cacheDir()
	if err != nil {
		return exitMachine, err
	}
	if cfg.headers {
		dir, err := findHeaders(ctx, cache, cfg.kernel)
		if err != nil {
			return exitMachine, err
		}
		fmt.Println(dir)
		return 0, nil
	}
	k, err := findKernel(ctx, cache, cfg.kernel)
	if err != nil {
		return exitMachine, err
	}
	accel, err := accelerator(ctx, cache, k)
	if err != nil {
		return exitMachine, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.timeout)
	defer cancel()
	status, err := boot(ctx, k, accel, cfg)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return exitTimeout, fmt.Errorf("time limit of %v passed", cfg.timeout)
	}
	return status, err
}
