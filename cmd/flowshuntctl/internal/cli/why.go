package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

func (a *app) whyCmd() *cobra.Command {
	zone := -1
	cmd := &cobra.Command{
		Use:   "why <5-tuple>",
		Short: "Explain why a connection is, or is not, offloaded",
		Long: "why lists, for each conntrack entry that the 5-tuple matches in either orientation, every check\n" +
			"that an offload must pass, in order, with its result. It works for any connection: one that the\n" +
			"agent does not follow is read from conntrack at that moment.\n" +
			"The 5-tuple is PROTO,SRC:PORT,DST:PORT or PROTO SRC SPORT DST DPORT; protocols without ports\n" +
			"leave them out. The exit code is 0 only if every entry found is offloaded.",
		Example: "  flowshuntctl why tcp,10.0.0.1:40000,10.0.0.2:5201\n" +
			"  flowshuntctl why 'udp,[2001:db8::1]:500,[2001:db8::2]:500' --zone=7\n" +
			"  flowshuntctl why tcp 10.0.0.1 40000 10.0.0.2 5201\n" +
			"  flowshuntctl why esp 10.0.0.1 10.0.0.2",
		Args: func(_ *cobra.Command, args []string) error {
			_, err := parseTuple("why", args)
			return err
		},
		RunE: a.run(func(ctx context.Context, args []string) error { return a.why(ctx, args, zone) }),
	}
	cmd.Flags().IntVar(&zone, "zone", -1, "only entries of this conntrack `zone`; -1: any")
	return cmd
}

// parseTuple reads the forms of a tuple that commands take.
func parseTuple(command string, args []string) (flows.Tuple, error) {
	var s string
	switch len(args) {
	case 1:
		s = args[0]
	case 3:
		s = strings.Join(args, ",")
	case 5:
		s = args[0] + "," + hostPort(args[1], args[2]) + "," + hostPort(args[3], args[4])
	default:
		return flows.Tuple{}, usagef("%s takes PROTO,SRC:PORT,DST:PORT or PROTO SRC SPORT DST DPORT, not %s",
			command, plural(len(args), "argument", "arguments"))
	}
	t, err := flows.ParseTuple(s)
	if err != nil {
		return flows.Tuple{}, usagef("%w", err)
	}
	return t, nil
}

// hostPort brackets an IPv6 address.
func hostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + strings.Trim(host, "[]") + "]"
	}
	return host + ":" + port
}

func (a *app) why(ctx context.Context, args []string, zone int) error {
	t, err := parseTuple("why", args)
	if err != nil {
		return err
	}
	z, err := parseZone(zone)
	if err != nil {
		return err
	}
	return a.ask(ctx, func(c *control.Client) error {
		e, err := c.Why(ctx, control.Question{Tuple: t, Zone: z})
		if err != nil {
			return err
		}
		if err := a.writeWhy(t, &e); err != nil {
			return err
		}
		if len(e.Entries) == 0 || countOffloaded(&e) < len(e.Entries) {
			return &failure{ExitNo, errSaid}
		}
		return nil
	})
}

func (a *app) writeWhy(t flows.Tuple, e *control.Explanation) error {
	switch a.format {
	case formatJSON:
		return writeJSON(a.Stdout, whyJSON(t, e))
	case formatCSV:
		return writeCSV(a.Stdout, whyCSV(t, e))
	default:
		return whyText(a.Stdout, t, e)
	}
}

func countOffloaded(e *control.Explanation) int {
	n := 0
	for i := range e.Entries {
		if e.Entries[i].State == control.StateOffloaded {
			n++
		}
	}
	return n
}
