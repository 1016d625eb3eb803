package cli

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/version"
)

// Env is what the commands need from outside.
type Env struct {
	Stdout, Stderr io.Writer
	Rules          Rules
	Checks         Checks
	Version        version.Info
}

// app is one command tree with its flags.
type app struct {
	Env
	format  string
	socket  string
	timeout time.Duration
}

// New builds the command tree.
func New(env Env) *cobra.Command {
	a := &app{Env: env}
	root := &cobra.Command{
		Use:   "flowshuntctl",
		Short: "Look into a Flowshunt agent and the rules that it installed",
		Long: "flowshuntctl asks the Flowshunt agent of this host over its control socket what it does\n" +
			"and why. audit, flush and check read the node itself and work without an agent.\n\n" + exitHelp,
		Args:              cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.check() },
	}
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	flags := root.PersistentFlags()
	flags.SortFlags = true
	flags.StringVar(&a.format, "format", formatTable, "output `format`: table, json or csv")
	flags.StringVar(&a.socket, "socket", control.DefaultSocket, "control socket of the agent")
	flags.DurationVar(&a.timeout, "timeout", 10*time.Second, "longest time that the whole command may take")
	root.AddCommand(a.showCmd(), a.sessionsCmd(), a.whyCmd(), a.statsCmd(),
		a.auditCmd(), a.flushCmd(), a.checkCmd(), a.versionCmd())
	return root
}

func (a *app) check() error {
	if a.timeout <= 0 {
		return usagef("--timeout %s: want more than zero", a.timeout)
	}
	return checkFormat(a.format)
}

// runner is the body of a command.
type runner func(ctx context.Context, args []string) error

// run bounds the time of a command and marks its errors as not being about usage.
func (a *app) run(body runner) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
		defer cancel()
		return classify(body(ctx, args))
	}
}

// ask connects to the agent for the time of one body.
func (a *app) ask(ctx context.Context, body func(*control.Client) error) error {
	c, err := control.Dial(ctx, a.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	return body(c)
}
