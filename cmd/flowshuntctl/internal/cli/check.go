package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/check"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// Checks looks at the node, without help of an agent.
type Checks interface {
	// Run changes nothing.
	Run(ctx context.Context, cfg check.Config) []check.Line
	// Probe inserts rules at a port and removes them.
	Probe(ctx context.Context, cfg check.ProbeConfig) []check.Line
}

// checkFlags are the flags of check.
type checkFlags struct {
	check.Config
	probe           check.ProbeConfig
	strict, verbose bool
}

func (a *app) checkCmd() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check whether this node can offload, and how well; needs no agent",
		Long: "check looks at the kernel, conntrack, Open vSwitch, the NIC, tc and the agent, and says of each\n" +
			"whether it is as Flowshunt needs it, and if not what goes wrong and what mends it:\n\n" +
			"  ok       as it should be\n" +
			"  warning  works, but not as well or not as surely as it could\n" +
			"  fatal    Flowshunt cannot work, or must not, as it is\n" +
			"  unknown  could not be looked at; most often root would be told\n\n" +
			"It changes nothing. With --probe it inserts rules into the hardware behind a port, for\n" +
			"connections that cannot exist, and removes them: it tells whether the driver takes them, what it\n" +
			"says against those that it does not, and how many it takes per second. The port's clsact is made\n" +
			"and removed if it was missing.",
		Example: "flowshuntctl check\nflowshuntctl check --verbose --format=json\nflowshuntctl check --probe enp3s0f0_0 --probe-to p0",
		Args:    cobra.NoArgs,
		RunE:    a.run(func(ctx context.Context, _ []string) error { return a.preflight(ctx, &f) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.probe.Port, "probe", "", "also insert and remove rules at this `PORT`, a representor")
	flags.StringVar(&f.probe.To, "probe-to", "", "where these redirect to: a `PORT` (default another representor of the same NIC)")
	flags.BoolVar(&f.strict, "strict", false, "let warnings, and what is unknown, count like fatal")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "name everything that was counted")
	flags.StringVar(&f.OVSDB, "ovsdb", ovsdb.DefaultEndpoint, "`endpoint` of the Open vSwitch database, as the agent's")
	flags.StringVar(&f.OVSRundir, "ovs-rundir", unixctl.DefaultRundir, "`directory` of ovs-vswitchd's pidfile, as the agent's")
	flags.IntVar(&f.Capacity, "capacity", engine.DefaultConfig().Capacity, "sessions that are meant to be offloaded, as the agent's")
	flags.Uint16Var(&f.Preference, "preference", flower.DefaultPreference, "first tc preference of rules, as the agent's")
	return cmd
}

func (a *app) preflight(ctx context.Context, f *checkFlags) error {
	if f.probe.To != "" && f.probe.Port == "" {
		return usagef("--probe-to %s: which port to --probe?", f.probe.To)
	}
	f.Socket, f.Version = a.socket, a.Version.String()
	lines := a.Checks.Run(ctx, f.Config)
	if f.probe.Port != "" {
		lines = append(lines, a.Checks.Probe(ctx, f.probe)...)
	}
	if err := a.writeCheck(lines, f.verbose); err != nil {
		return err
	}
	return verdictOf(lines, f.strict, ctx.Err())
}

// verdictOf turns lines into an exit code. What only root could have told is not taken
// for well, nor what could not be looked at because of late, the end of the time.
func verdictOf(lines []check.Line, strict bool, late error) error {
	bad, hidden, unknown := 0, 0, 0
	for _, l := range lines {
		switch {
		case l.Status == check.Fatal, strict && l.Status != check.OK:
			bad++
		case l.Root:
			hidden++
		case l.Status == check.Unknown:
			unknown++
		}
	}
	switch {
	case bad > 0:
		return &failure{ExitNo, errSaid}
	case hidden > 0:
		return &failure{ExitPermission, errors.New("check: what only root is told was not looked at: run it as root")}
	case unknown > 0 && late != nil:
		return &failure{ExitUnfinished, fmt.Errorf("check: not all was looked at: %w: is the --timeout too short?", late)}
	}
	return nil
}
