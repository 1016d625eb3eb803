package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
)

// batchCommands are all commands that can be part of a batch. Those that know what a
// database is about belong here as well.
func batchCommands() []*dbctl.Command { return dbctl.Generic() }

// topicDatabase is what the help about batches is called.
const topicDatabase = "database"

// defaultDatabase is that of our own schema.
const defaultDatabase = "Flowshunt"

// exitAlarm is how a shell sees a program that SIGALRM ended, as it ends ovs-vsctl when its
// time is over.
const exitAlarm = 128 + int(syscall.SIGALRM)

const databaseHelp = `flowshuntctl [OPTIONS] [--] [COMMAND OPTIONS] COMMAND [ARG]... [-- [COMMAND OPTIONS] COMMAND [ARG]...]...

These commands read and change any OVSDB database, as those of the same names of ovs-vsctl(8) do: their
syntax, output and exit codes are the same. All commands of a call are one transaction: all of it is carried
out, or nothing, and nothing is printed before that. The options of a command stand before its name; those
that are for all of them stand before the first command.

TABLE is the name of a table and COLUMN that of a column, in any case, with - for _, and cut short as long as it is
the beginning of one only. RECORD is a uuid, the first 4 or more digits of one, the name of a record where the
table has such (a bridge for Controller, a port for QoS), or . for the only record. VALUE is true or
false, a number, a uuid, @NAME, or a string, in the quotation marks of JSON where it could be taken for
something else; sets are written [a,b] or a,b or 1-5, empty ones [], maps {k=v,l=w} or k=v,l=w, empty ones {}.

Exit codes of database commands:
  0    done
  1    an error, of whatever kind; nothing was changed
  142  the time of --timeout is over; by default these commands wait for as long as it takes`

// batchOptions are those that only database commands have.
type batchOptions struct {
	remotes, database      string
	data                   string
	noHeadings, pretty     bool
	maxWidth               int
	oneLine, dryRun, retry bool
	tls                    client.TLS
}

// batchFlags are the options that stand before the first command of a batch, apart from
// those that all commands have.
func (a *app) batchFlags() *pflag.FlagSet {
	o := &a.batch
	flags := pflag.NewFlagSet("database", pflag.ContinueOnError)
	flags.StringVar(&o.remotes, "db", ovsdb.DefaultEndpoint, "`servers` of the database: unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT, several with commas between them")
	flags.StringVar(&o.database, "database", defaultDatabase, "`name` of the database")
	flags.BoolVar(&o.retry, "retry", false, "try again while no server can be reached")
	flags.BoolVar(&o.dryRun, "dry-run", false, "change nothing, only have the server check it")
	flags.BoolVar(&o.oneLine, "oneline", false, "print one line for each command, but for list and find")
	flags.StringVarP(&o.data, "data", "d", string(dbctl.Plain), "`format` of values that list and find print: string, bare or json")
	flags.BoolVar(&o.noHeadings, "no-headings", false, "print no names of columns")
	flags.BoolVar(&o.pretty, "pretty", false, "print JSON on several lines")
	flags.IntVar(&o.maxWidth, "max-column-width", 0, "widest column of --format=table, in `bytes`; 0 = any")
	flags.BoolFunc("bare", "--format=list --data=bare --no-headings", func(string) error {
		a.format, o.data, o.noHeadings = string(dbctl.Stanzas), string(dbctl.Bare), true
		return nil
	})
	flags.StringVarP(&o.tls.PrivateKey, "private-key", "p", "", "`file` with the key of the certificate, for ssl")
	flags.StringVarP(&o.tls.Certificate, "certificate", "c", "", "`file` with the certificate of this program")
	flags.StringVarP(&o.tls.CACert, "ca-cert", "C", "", "`file` with the certificates of the servers' authorities")
	return flags
}

// databaseCmds are the commands of batches as cobra sees them: for help, completion and the
// reference. Their work is done by runBatch.
func (a *app) databaseCmds() []*cobra.Command {
	flags := a.batchFlags()
	var list []*cobra.Command
	for _, c := range batchCommands() {
		cmd := &cobra.Command{
			Use: c.Name + " " + c.Args, Short: c.Short, Long: c.Long, Example: c.Example, GroupID: groupDatabase,
			DisableFlagsInUseLine: true,
			RunE:                  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		}
		for _, o := range c.Options {
			f := cmd.Flags().VarPF(&shown{o.Value}, o.Name, "", o.Help)
			if o.Value == "" {
				f.NoOptDefVal = "true"
			}
		}
		cmd.Flags().AddFlagSet(flags)
		list = append(list, cmd)
	}
	return list
}

// shown is an option of a database command, for cobra to show and complete.
type shown struct{ value string }

func (*shown) Set(string) error { return nil }
func (*shown) String() string   { return "" }
func (s *shown) Type() string {
	if s.value == "" {
		return "bool"
	}
	return s.value
}

// options turns flags into those of a command line that dbctl reads.
func options(sets ...*pflag.FlagSet) []dbctl.Option {
	var list []dbctl.Option
	for _, set := range sets {
		set.VisitAll(func(f *pflag.Flag) {
			o := dbctl.Option{Name: f.Name}
			if f.Shorthand != "" {
				o.Short = f.Shorthand[0]
			}
			if f.NoOptDefVal == "" {
				o.Value = "VALUE"
			}
			list = append(list, o)
		})
	}
	return list
}

// isBatch reports whether a command line is one of database commands: its first command is one,
// or it has an option that only they have. Help is cobra's.
func (a *app) isBatch(args []string) bool {
	own := options(a.batchFlags())
	name, rest, given := dbctl.FirstCommand(args, append(options(a.flags), own...), batchCommands())
	if len(rest) > 0 && (rest[0] == "--help" || rest[0] == "-h") {
		return false
	}
	return slices.ContainsFunc(batchCommands(), func(c *dbctl.Command) bool { return c.Name == name }) ||
		slices.ContainsFunc(given, func(g dbctl.Given) bool {
			return slices.ContainsFunc(own, func(o dbctl.Option) bool { return o.Name == g.Name })
		})
}

// runBatch carries out a command line of database commands and returns the exit code.
func (a *app) runBatch(ctx context.Context, args []string) int {
	err := a.batchOf(ctx, args)
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errAlarm):
		fmt.Fprintf(a.Stderr, "flowshuntctl: the %s of --timeout are over\n", a.timeout)
		return exitAlarm
	}
	fmt.Fprintf(a.Stderr, "flowshuntctl: %s\n", clean(err.Error()))
	return ExitNo
}

// errAlarm is that the time of a batch is over.
var errAlarm = errors.New("no time is left")

func (a *app) batchOf(ctx context.Context, args []string) error {
	own := a.batchFlags()
	line, err := dbctl.ParseLine(args, options(a.flags, own), batchCommands())
	if err != nil {
		return err
	}
	a.format = string(dbctl.Stanzas)
	for _, g := range line.Globals {
		if err := set(g, a.flags, own); err != nil {
			return err
		}
	}
	format, err := a.batchFormat()
	if err != nil {
		return err
	}
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.timeout.duration(), errAlarm)
		defer cancel()
	}
	if err := a.transact(ctx, line.Calls); err != nil {
		if errors.Is(context.Cause(ctx), errAlarm) {
			return errAlarm
		}
		return err
	}
	return dbctl.Print(a.Stdout, line.Calls, format)
}

// set gives a flag of one of the sets its value.
func set(g dbctl.Given, sets ...*pflag.FlagSet) error {
	for _, flags := range sets {
		if f := flags.Lookup(g.Name); f != nil {
			if f.NoOptDefVal != "" {
				g.Value = f.NoOptDefVal
			}
			return flags.Set(g.Name, g.Value)
		}
	}
	return nil
}

func (a *app) batchFormat() (dbctl.Format, error) {
	o := &a.batch
	f := dbctl.Format{NoHeadings: o.noHeadings, MaxWidth: max(o.maxWidth, 0), Pretty: o.pretty, OneLine: o.oneLine}
	var err error
	if f.Style, err = dbctl.ParseStyle(o.data); err != nil {
		return f, err
	}
	f.Layout, err = dbctl.ParseLayout(a.format)
	return f, err
}

func (a *app) transact(ctx context.Context, calls []*dbctl.Call) error {
	o := &a.batch
	db, err := client.Dial(ctx, client.Config{Remotes: o.remotes, Database: o.database, TLS: o.tls})
	if err != nil {
		return err
	}
	defer db.Close()
	return dbctl.Run(ctx, db, calls, dbctl.Config{Names: dbctl.NamesOf(o.database), DryRun: o.dryRun, Program: "flowshuntctl",
		Warn: func(text string) { fmt.Fprintf(a.Stderr, "flowshuntctl: warning: %s\n", clean(text)) }})
}
