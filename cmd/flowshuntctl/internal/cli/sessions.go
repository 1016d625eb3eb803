package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// sessionFlags are the flags of "sessions" as they are typed.
type sessionFlags struct {
	listFlags
	all                  bool
	port, reason, prefix string
	states               []string
	zone                 int
	sort                 string
	limit                uint64
}

func (a *app) sessionsCmd() *cobra.Command {
	var f sessionFlags
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List the connections that are offloaded or about to be",
		Long: "sessions lists the connections that are offloaded or about to be; with --all also those that\n" +
			"the agent only follows, each with the reason. Numbers in the table are shortened with decimal\n" +
			"prefixes (1.2M = 1,200,000); json and csv have them in full.",
		Example: "  flowshuntctl sessions --sort=rate --limit=10\n" +
			"  flowshuntctl sessions --all --reason=path-unsupported\n" +
			"  flowshuntctl sessions --prefix=10.0.0.0/24 --format=json",
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.sessions(ctx, &f) }),
	}
	f.addView(cmd)
	cmd.Flags().Uint64Var(&f.limit, "limit", 1000, "print at most so many; 0: all")
	f.add(cmd)
	return cmd
}

// addView adds the flags that say which connections are shown, and in which order.
func (f *sessionFlags) addView(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.all, "all", false, "include connections that are only followed")
	f.addFilter(cmd)
	cmd.Flags().StringVar(&f.sort, "sort", "rate", "largest first: `order` rate, bytes or age")
}

// addFilter adds the flags by which connections are named.
func (f *sessionFlags) addFilter(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.port, "port", "", "only those that enter or leave by this `port`")
	flags.StringSliceVar(&f.states, "state", nil, "only these `states`: "+strings.Join(control.StateNames(), ", "))
	flags.StringVar(&f.reason, "reason", "", "only with this `reason`, or this family of reasons (path-unsupported)")
	flags.StringVar(&f.prefix, "prefix", "", "only with an end in this `prefix`, or at this address")
	flags.IntVar(&f.zone, "zone", -1, "only in this conntrack `zone`; -1: any")
}

func (a *app) sessions(ctx context.Context, f *sessionFlags) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	if _, err := choose(&f.listFlags, a.format, sessionColumns(time.Time{})); err != nil {
		return err
	}
	return a.ask(ctx, func(c *control.Client) error {
		rows := []control.Session{}
		sum, err := c.Sessions(ctx, filter, func(s control.Session) error {
			rows = append(rows, s)
			return nil
		})
		if err != nil {
			return err
		}
		a.remark(len(rows), sum.Matched, &filter)
		return writeList(a.Stdout, a.format, &f.listFlags, sessionColumns(sum.Now), rows)
	})
}

// remark says on standard error what the list does not show.
func (a *app) remark(shown int, matched uint64, f *control.Filter) {
	switch {
	case uint64(shown) < matched:
		fmt.Fprintf(a.Stderr, "%d of %d shown; --limit gives more\n", shown, matched)
	case shown == 0 && !f.WantsFollowing():
		fmt.Fprintln(a.Stderr, "no session matches; --all includes connections that are only followed")
	}
}

func (f *sessionFlags) filter() (control.Filter, error) {
	out := control.Filter{All: f.all, Port: f.port, Reason: flows.Reason(f.reason), Limit: f.limit}
	for _, name := range f.states {
		s, err := control.ParseState(name)
		if err != nil {
			return out, usagef("--state: %w", err)
		}
		out.States = append(out.States, s)
	}
	var err error
	if out.Sort, err = control.ParseSort(cmp.Or(f.sort, "rate")); err != nil {
		return out, usagef("--sort: %w", err)
	}
	if out.Zone, err = parseZone(f.zone); err != nil {
		return out, err
	}
	if f.prefix != "" {
		if out.Prefix, err = parsePrefix(f.prefix); err != nil {
			return out, usagef("--prefix: %w", err)
		}
	}
	return out, nil
}

func parseZone(n int) (*flows.Zone, error) {
	if n < -1 || n > 0xffff {
		return nil, usagef("--zone %d: want 0 to 65535", n)
	}
	if n == -1 {
		return nil, nil
	}
	z := flows.Zone(n)
	return &z, nil
}

// parsePrefix takes an address for the prefix that holds only itself.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.WithZone("").Prefix(addr.BitLen())
	}
	return netip.ParsePrefix(s)
}
