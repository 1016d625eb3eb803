package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/pkg/agent"
	"github.com/flowshunt/flowshunt/pkg/version"
)

// The exit codes. The systemd unit relies on them. 2 is how the Go runtime ends a
// program that panics, which is worth another try; so wrong usage is EX_USAGE of
// sysexits.h.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 64
)

const long = `flowshuntd is the Flowshunt agent of one compute node. It follows the connections that Open vSwitch
has let through, moves those that are worth it into the eswitch as a pair of tc rules, and takes the
rules out as soon as the connection ends or may no longer be there.

In mode observe, the default, it decides and explains, and installs nothing: flowshuntctl shows what
mode enforce would do. Enforce needs --ports.

A port with external_ids:flowshunt=off in its Interface row is left alone, and one with
external_ids:flowshunt=on is used as if --ports named it.`

const exitHelp = `   0  ended by SIGTERM, SIGINT or SIGHUP; its rules are out, or kept if so asked
   1  cannot work, or failed: standard error says why and what to do
  64  wrong usage: trying again is of no use`

// errUsage is in the chain of errors about the command line.
var errUsage = errors.New("see: flowshuntd --help")

// runner runs an agent; tests have their own.
type runner func(context.Context, agent.Config) error

// Run executes one command line, reports its error and returns the exit code.
func Run(ctx context.Context, stderr io.Writer, args []string) int {
	return run(ctx, stderr, args, agent.Run)
}

func run(ctx context.Context, stderr io.Writer, args []string, runAgent runner) int {
	cmd := command(runAgent)
	cmd.SetErr(stderr)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(stderr, "flowshuntd: %v\n", err)
	if errors.Is(err, errUsage) {
		return ExitUsage
	}
	return ExitFailed
}

func command(runAgent runner) *cobra.Command {
	o := defaults()
	cmd := &cobra.Command{
		Use:           "flowshuntd",
		Short:         "Offload established connections from Open vSwitch to the eswitch",
		Long:          long + "\n\nExit codes:\n" + exitHelp,
		Version:       version.Get().String(),
		Args:          usage(cobra.NoArgs),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.config()
			if err != nil {
				return asUsage(err)
			}
			cfg.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: o.logLevel}))
			return runAgent(cmd.Context(), cfg)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return asUsage(err) })
	cmd.SetUsageTemplate("Usage:\n  {{.UseLine}}\n\nFlags:\n{{.LocalFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}\n")
	cmd.Flags().SortFlags = false // by subject
	o.register(cmd.Flags())
	return cmd
}

func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return asUsage(fmt.Errorf("%q: there are only flags", strings.Join(args, " ")))
		}
		return nil
	}
}

func asUsage(err error) error { return fmt.Errorf("%w\n%w", err, errUsage) }
