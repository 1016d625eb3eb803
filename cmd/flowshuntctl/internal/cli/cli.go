package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/version"
)

// Env is what the commands need from outside.
type Env struct {
	Stdin          io.Reader // keys, where it is a terminal; nil: none
	Stdout, Stderr io.Writer
	Rules          Rules
	Checks         Checks
	Version        version.Info
}

// app is one command tree with its flags.
type app struct {
	Env
	flags   *pflag.FlagSet // of all commands
	format  string         // "" = the default of the command
	socket  string
	timeout patience

	batch batchOptions
}

// Groups of commands in the help.
const (
	groupAgent    = "agent"
	groupDatabase = "database"
)

// New builds the command tree.
func New(env Env) *cobra.Command { return newApp(env).tree() }

func newApp(env Env) *app {
	a := &app{Env: env, flags: pflag.NewFlagSet("flowshuntctl", pflag.ContinueOnError)}
	a.flags.StringVarP(&a.format, "format", "f", "", "output `format`: table (the default), json or csv; of database commands also list (their default) and html")
	a.flags.StringVar(&a.socket, "socket", control.DefaultSocket, "control socket of the agent")
	a.flags.VarP(&a.timeout, "timeout", "t", "longest `time` that the whole command may take, in seconds or such as 300ms (default 10s, but for database commands)")
	return a
}

func (a *app) tree() *cobra.Command {
	root := &cobra.Command{
		Use:   "flowshuntctl",
		Short: "Look into a Flowshunt agent, the rules that it installed, and OVSDB databases",
		Long: "flowshuntctl asks the Flowshunt agent of this host over its control socket what it does\n" +
			"and why. audit, flush and check read the node itself and work without an agent. The database commands\n" +
			"read and change OVSDB databases; of these several can stand in one command line, with -- between them:\n" +
			"see flowshuntctl database --help.\n\n" + exitHelp,
		Args:              cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.check() },
	}
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetHelpCommand(&cobra.Command{Hidden: true, GroupID: groupAgent})
	root.PersistentFlags().AddFlagSet(a.flags)
	root.AddGroup(&cobra.Group{ID: groupAgent, Title: "The agent and this node:"},
		&cobra.Group{ID: groupDatabase, Title: "Databases:"})
	for _, cmd := range []*cobra.Command{a.showCmd(), a.sessionsCmd(), a.topCmd(), a.whyCmd(),
		a.orderCmd(control.OrderOffload), a.orderCmd(control.OrderInspect), a.orderCmd(control.OrderRevoke), a.statsCmd(),
		a.auditCmd(), a.flushCmd(), a.checkCmd(), a.versionCmd()} {
		cmd.GroupID = groupAgent
		root.AddCommand(cmd)
	}
	root.AddCommand(a.initCmd(), a.manCmd())
	root.AddCommand(a.databaseCmds()...)
	root.AddCommand(&cobra.Command{Use: topicDatabase, GroupID: groupDatabase, Short: "How database commands are written", Long: databaseHelp})
	return root
}

// check is called before the commands that are not part of batches.
func (a *app) check() error {
	if a.timeout == 0 {
		a.timeout = defaultPatience
	}
	if a.format == "" {
		a.format = formatTable
	}
	return checkFormat(a.format)
}

// runner is the body of a command.
type runner func(ctx context.Context, args []string) error

// run bounds the time of a command and marks its errors as not being about usage.
func (a *app) run(body runner) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout.duration())
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
