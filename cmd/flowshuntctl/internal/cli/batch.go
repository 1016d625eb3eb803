package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
)

// exitAlarm is how a shell sees a program that SIGALRM ended, as it ends ovs-vsctl when its
// time is over. No signal is sent: to a parent that is no shell it is an exit code.
const exitAlarm = 128 + int(syscall.SIGALRM)

// isBatch reports whether a command line is one of database commands: its first command is one,
// or it has an option that only they have. Help is cobra's, and so is init, which is no part of a batch.
func (a *app) isBatch(args []string) bool {
	own := options(a.batchFlags())
	name, rest, given := dbctl.FirstCommand(args, append(options(a.flags), own...), batchCommands())
	if name == initName || len(rest) > 0 && (rest[0] == "--help" || rest[0] == "-h") {
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
		fmt.Fprintf(a.Stderr, "flowshuntctl: the %s of --timeout are over", a.timeout)
		var late *behindError
		switch {
		case errors.As(err, &late):
			fmt.Fprintf(a.Stderr, "; %s", clean(late.text()))
		case errors.Is(err, dbctl.ErrUncertain):
			fmt.Fprintf(a.Stderr, "; %v", dbctl.ErrUncertain)
		}
		fmt.Fprintln(a.Stderr)
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
	a.format = ""
	for _, g := range line.Globals {
		if err := set(g, a.flags, own); err != nil {
			return err
		}
	}
	format, err := a.batchFormat(own)
	if err != nil {
		return err
	}
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.timeout.duration(), errAlarm)
		defer cancel()
	}
	err = a.carryOut(ctx, line.Calls, format)
	if err != nil && errors.Is(context.Cause(ctx), errAlarm) {
		return fmt.Errorf("%w: %w", errAlarm, err)
	}
	return err
}

// carryOut prints as soon as the transaction is through, and waits for the nodes then.
func (a *app) carryOut(ctx context.Context, calls []*dbctl.Call, format dbctl.Format) error {
	followers, err := a.follow(ctx)
	if err != nil {
		return err
	}
	if err := a.transact(ctx, calls, followers); err != nil {
		return err
	}
	if err := dbctl.Print(a.Stdout, calls, format); err != nil {
		return err
	}
	return a.await(ctx, followers)
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

func (a *app) batchFormat(own *pflag.FlagSet) (dbctl.Format, error) {
	o := &a.batch
	f := dbctl.Format{NoHeadings: o.noHeadings, MaxWidth: max(o.maxWidth, 0), Pretty: o.pretty, OneLine: o.oneLine}
	var err error
	if own.Changed("data") || o.data != "" { // --bare says it as well
		if f.Style, err = dbctl.ParseStyle(o.data); err != nil {
			return f, err
		}
	}
	if a.flags.Changed("format") || a.format != "" {
		f.Layout, err = dbctl.ParseLayout(a.format)
	}
	return f, err
}

// pauses between attempts to reach a server, doubled for each.
const minRetry, maxRetry = 100 * time.Millisecond, 5 * time.Second

// transact carries out a batch. With --retry it begins anew when no server can be reached or one is
// lost, but never when the batch may have been carried out already.
func (a *app) transact(ctx context.Context, calls []*dbctl.Call, followers *follow) error {
	for pause := minRetry; ; pause = min(2*pause, maxRetry) {
		err := a.attempt(ctx, calls, followers)
		var lost *client.Error
		if !a.batch.retry || !errors.As(err, &lost) || errors.Is(err, dbctl.ErrUncertain) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func (a *app) attempt(ctx context.Context, calls []*dbctl.Call, followers *follow) error {
	o := &a.batch
	db, err := client.Dial(ctx, client.Config{Remotes: o.remotes, Database: o.database, TLS: o.tls})
	if err != nil {
		return err
	}
	defer db.Close()
	cfg := dbctl.Config{Names: dbctl.NamesOf(o.database), DryRun: o.dryRun, Program: "flowshuntctl",
		Warn: func(text string) { fmt.Fprintf(a.Stderr, "flowshuntctl: warning: %s\n", clean(text)) }}
	if followers != nil {
		cfg.Last = followers.command()
	}
	return dbctl.Run(ctx, db, calls, cfg)
}
