package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
	"github.com/flowshunt/flowshunt/ovsdb/serve"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

const initName = "init"

// initFlags are the flags of init.
type initFlags struct {
	serve.Config
	policies           string
	quiet, printSchema bool
	remote             bool // --db was given
}

const initLong = `init makes the policy database and has it served by the ovsdb-server that Open vSwitch runs on this
node. It makes the file next to conf.db, adds it to the running server, converts it if this version has a newer
schema, and puts the row of table Flowshunt and the shipped policies into a new one. What is done is not
done again, so it can be called at any time.

An ovsdb-server that starts anew serves only what it was started with: flowshunt-db.path then calls init again, however
the server was started. If none runs, init only makes the file.

A database with a newer schema than this version's is served as it is. --force converts it back; what the older
schema has no column for is lost.

With --db the database is one that these servers have already, here or elsewhere, such as the members of a cluster
that was made by ovsdb-tool create-cluster from the schema that --print-schema prints: it is only converted, and filled
if it is new.

The exit codes are those of the commands about the agent: 2, 4 and 5 for what is wrong.`

func (a *app) initCmd() *cobra.Command {
	var f initFlags
	own := a.batchFlags()
	cmd := &cobra.Command{
		Use:   initName,
		Short: "Make the policy database and have it served",
		Long:  initLong,
		Example: "flowshuntctl init\nflowshuntctl init --policies=none\n" +
			"flowshuntctl init --print-schema > flowshunt.ovsschema",
		Args:    cobra.NoArgs,
		GroupID: groupDatabase,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			f.remote = own.Changed("db")
			err := a.init(ctx, &f)
			if err != nil && ctx.Err() != nil {
				err = fmt.Errorf("the %s of --timeout are over: %w", a.timeout, err)
			}
			return err
		}),
	}
	flags := cmd.Flags()
	for _, name := range []string{"db", "private-key", "certificate", "ca-cert"} {
		flags.AddFlag(own.Lookup(name))
	}
	flags.StringVar(&f.policies, "policies", "", "`which` policies to begin with: none, or shipped if there is no policy (default shipped if the database is new)")
	flags.StringVar(&f.File, "file", filepath.Join(databaseDir(), "flowshunt.db"), "`path` of the database")
	flags.StringVar(&f.Rundir, "ovs-rundir", cmp.Or(os.Getenv("OVS_RUNDIR"), unixctl.DefaultRundir), "`directory` of ovsdb-server's pidfile and sockets")
	flags.BoolVar(&f.Force, "force", false, "convert a database with a newer schema as well, and lose what is only in that one")
	flags.DurationVar(&f.Await, "await", 0, "how `long` to wait for an ovsdb-server that does not run")
	flags.BoolVar(&f.quiet, "quiet", false, "say nothing of what is well")
	flags.BoolVar(&f.printSchema, "print-schema", false, "print the schema, and do nothing")
	return cmd
}

// databaseDir is where Open vSwitch has its database, found as its own scripts do.
func databaseDir() string {
	if dir := os.Getenv("OVS_DBDIR"); dir != "" {
		return dir
	}
	return filepath.Join(cmp.Or(os.Getenv("OVS_SYSCONFDIR"), "/etc"), "openvswitch")
}

func (a *app) init(ctx context.Context, f *initFlags) error {
	switch {
	case f.printSchema:
		_, err := a.Stdout.Write(ovsdb.PolicySchema)
		return err
	case f.policies != "" && f.policies != policiesShipped && f.policies != policiesNone:
		return usagef("--policies=%s: want shipped or none", f.policies)
	}
	f.Schema = ovsdb.PolicySchema
	var err error
	if f.File, err = filepath.Abs(f.File); err != nil {
		return err
	}
	state, err := a.ensure(ctx, f)
	if err != nil {
		return hint(err)
	}
	s := seed{policies: f.policies}
	if err := a.fill(ctx, f, state, &s); err != nil {
		return err
	}
	if state.Newer {
		fmt.Fprintf(a.Stderr, "flowshuntctl: warning: the database has version %s of the schema, which is newer than that of this program; see --force\n", state.Has)
	}
	if !f.quiet {
		a.reportInit(f, state, &s)
	}
	return nil
}

func (a *app) remotes(f *initFlags) string {
	if f.remote {
		return a.batch.remotes
	}
	return f.Socket()
}

func (a *app) ensure(ctx context.Context, f *initFlags) (serve.State, error) {
	if f.remote {
		return serve.Upgrade(ctx, client.Config{Remotes: a.batch.remotes, Database: defaultDatabase, TLS: a.batch.tls}, f.Schema, f.Force)
	}
	return serve.Ensure(ctx, f.Config)
}

// hint adds to an error what an operator can do.
func hint(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run it as root, or as the user who runs ovsdb-server", err)
	case errors.Is(err, client.ErrNoDatabase):
		return fmt.Errorf("%w; without --db init makes one on this node, for a cluster ovsdb-tool create-cluster does", err)
	}
	return err
}

// fill puts into the database what belongs into a new one.
func (a *app) fill(ctx context.Context, f *initFlags, state serve.State, s *seed) error {
	cfg := dbctl.Config{Names: dbctl.NamesOf(defaultDatabase), Program: "flowshuntctl"}
	calls := []*dbctl.Call{{Command: s.command()}}
	if !state.Running {
		return dbctl.Run(ctx, serve.File{Path: f.File, JSON: f.Schema}, calls, cfg)
	}
	db, err := client.Dial(ctx, client.Config{Remotes: a.remotes(f), Database: defaultDatabase, TLS: a.batch.tls})
	if err != nil {
		return err
	}
	defer db.Close()
	return dbctl.Run(ctx, db, calls, cfg)
}

// reportInit says what was done.
func (a *app) reportInit(f *initFlags, state serve.State, s *seed) {
	say := func(format string, args ...any) { fmt.Fprintf(a.Stdout, format+"\n", args...) }
	if state.Created {
		say("created %s", f.File)
	}
	if state.Had != state.Has {
		say("converted from version %s of the schema to %s", state.Had, state.Has)
	}
	if s.added > 0 {
		say("added the %d shipped policies", s.added)
	}
	switch {
	case !state.Running:
		say("ovsdb-server does not run: flowshunt-db.path has the database served when it starts, or call init again then")
	case state.Served:
		say("the database %s is served at %s", defaultDatabase, a.remotes(f))
	default:
		say("the database %s is now served at %s", defaultDatabase, a.remotes(f))
	}
}
