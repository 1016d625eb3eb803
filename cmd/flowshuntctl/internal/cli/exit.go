package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/flowshunt/flowshunt/pkg/control"
)

// The exit codes. They are stable: scripts rely on them.
const (
	ExitOK         = 0
	ExitNo         = 1 // the question was answered, with no
	ExitUsage      = 2
	ExitNoAgent    = 3
	ExitPermission = 4
	ExitFailed     = 5
	ExitUnfinished = 6
)

const exitHelp = `Exit codes:
  0  done; the answer is yes
  1  the answer is no: show: the agent is not ready; why: not offloaded;
     offload, inspect, revoke: not done for all;
     audit: orphans found; flush: refused, because an agent is alive;
     check: something is fatal
  2  wrong usage
  3  no agent answers, or not in time
  4  permission denied; check: not all could be looked at
  5  anything else that failed; standard error says what
  6  check: nothing fatal was found, but the time ran out before all was looked at`

// failure is an error with its exit code. One without text was said already.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// errSaid is the text of a failure whose answer is on standard output.
var errSaid = errors.New("")

func usagef(format string, args ...any) error {
	return &failure{ExitUsage, fmt.Errorf(format, args...)}
}

func nof(format string, args ...any) error {
	return &failure{ExitNo, fmt.Errorf(format, args...)}
}

// classify gives an error of a command's body its exit code.
func classify(err error) error {
	var f *failure
	if err == nil || errors.As(err, &f) {
		return err
	}
	return &failure{codeOf(err), err}
}

func codeOf(err error) int {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, control.ErrPermission):
		return ExitPermission
	case errors.Is(err, control.ErrNoAgent), errors.Is(err, control.ErrTimeout):
		return ExitNoAgent
	case errors.Is(err, control.ErrRequest):
		return ExitUsage
	default:
		return ExitFailed
	}
}

// Run executes one command line, reports its error and returns the exit code.
func Run(ctx context.Context, env Env, args []string) int {
	a := newApp(env)
	if a.isBatch(args) {
		return a.runBatch(ctx, args)
	}
	root := a.tree()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	f := &failure{ExitUsage, err} // whatever the parser itself refuses
	errors.As(err, &f)
	if f.err != errSaid {
		fmt.Fprintf(env.Stderr, "flowshuntctl: %s\n", clean(f.Error()))
	}
	if f.code == ExitUsage {
		fmt.Fprintf(env.Stderr, "see: %s --help\n", cmd.CommandPath())
	}
	return f.code
}
