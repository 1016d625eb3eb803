package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/pkg/control"
)

func (a *app) showCmd() *cobra.Command {
	var ports bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Say how the agent is, and first what is wrong",
		Long: "show says how the agent is, beginning with what is wrong: health of everything it depends on,\n" +
			"budgets, ports. The exit code is 1 if the agent is not ready.",
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.show(ctx, ports) }),
	}
	cmd.Flags().BoolVar(&ports, "ports", false, "print every port instead of the first six")
	return cmd
}

func (a *app) show(ctx context.Context, allPorts bool) error {
	return a.ask(ctx, func(c *control.Client) error {
		st, err := c.Show(ctx)
		if err != nil {
			return err
		}
		sortPorts(st.Ports)
		if err := a.writeStatus(&st, allPorts); err != nil {
			return err
		}
		if !st.Ready {
			return &failure{ExitNo, errSaid}
		}
		return nil
	})
}

func (a *app) writeStatus(st *control.Status, allPorts bool) error {
	switch a.format {
	case formatJSON:
		return writeJSON(a.Stdout, statusJSON(st))
	case formatCSV:
		return writeCSV(a.Stdout, statusCSV(st))
	default:
		return statusTable(a.Stdout, st, allPorts)
	}
}
