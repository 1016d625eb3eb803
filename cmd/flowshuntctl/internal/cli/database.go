package cli

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
)

// batchCommands are all commands that can be part of a batch. Those that know what a
// database is about belong here as well.
func batchCommands() []*dbctl.Command {
	return slices.Concat(dbctl.Generic(), policyCommands(), wireCommands())
}

// topicDatabase is what the help about batches is called.
const topicDatabase = "database"

// defaultDatabase is that of our own schema.
const defaultDatabase = "Flowshunt"

const databaseHelp = `flowshuntctl [OPTIONS] [--] [COMMAND OPTIONS] COMMAND [ARG]... [-- [COMMAND OPTIONS] COMMAND [ARG]...]...

These commands read and change any OVSDB database, as those of the same names of ovs-vsctl(8) do: their
syntax, output and exit codes are the same. Those about policies, profiles and wires are for the database Flowshunt,
which init makes; what is wrong they say before anything is sent. All commands of a call are one transaction: all of it is carried
out, or nothing, and nothing is printed before that. The options of a command stand before its name; those
that are for all of them stand before the first command.

TABLE is the name of a table and COLUMN that of a column, in any case, with - for _, and cut short as long as it is
the beginning of one only. RECORD is a uuid, the first 4 or more digits of one, the name of a record where the
table has such (a bridge for Controller, a port for QoS), or . for the only record. VALUE is true or
false, a number, a uuid, @NAME, or a string, in the quotation marks of JSON where it could be taken for
something else; sets are written [a,b] or a,b or 1-5, empty ones [], maps {k=v,l=w} or k=v,l=w, empty ones {}.

Exit codes of database commands:
  0    done
  1    an error, of whatever kind; nothing was changed, unless standard error says otherwise
  142  the time of --timeout is over; by default these commands wait for as long as it takes

With --wait=local or all a change of the database Flowshunt has a number, Flowshunt.next_cfg, and the command ends when it
is in force: when Node.cur_cfg of this node, or of all, is not less. If the time is over before that, the change is
made nevertheless, and standard error names the nodes. This node is the one that has external_ids:system-id of its Open_vSwitch.`

// defaultRemotes are those of the Open vSwitch of this node, which may have been told to be elsewhere.
func defaultRemotes() string {
	if dir := os.Getenv("OVS_RUNDIR"); dir != "" {
		return "unix:" + dir + "/db.sock"
	}
	return ovsdb.DefaultEndpoint
}

// batchOptions are those that only database commands have.
type batchOptions struct {
	remotes, database      string
	data, wait             string
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
	flags.StringVar(&o.remotes, "db", defaultRemotes(), "`servers` of the database: unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT, several with commas between them")
	flags.StringVar(&o.database, "database", defaultDatabase, "`name` of the database")
	flags.StringVar(&o.wait, "wait", "", "`who` must have followed a change before the command ends: none, local (the agent of this node) or all (default local where the agent answers, else none)")
	flags.BoolVar(&o.retry, "retry", false, "try again while no server can be reached")
	flags.BoolVar(&o.dryRun, "dry-run", false, "change nothing, only have the server check it")
	flags.BoolVar(&o.oneLine, "oneline", false, "print one line for each command, but for list and find")
	flags.StringVarP(&o.data, "data", "d", "", "`format` of values in listings: string (the default of list and find), bare (of the others) or json")
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
			Use: strings.TrimSpace(c.Name + " " + c.Args), Short: c.Short, Long: c.Long, Example: c.Example, GroupID: groupDatabase,
			DisableFlagsInUseLine: true,
			ValidArgsFunction:     a.complete(c),
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
