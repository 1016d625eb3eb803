package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/pkg/control"
)

func (a *app) flushCmd() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "flush",
		Short: "Remove every rule of Flowshunt from tc; needs no agent",
		Long: "flush removes every rule of Flowshunt from tc, of whatever agent, dead or alive, and says how\n" +
			"many those were. Rules of others stay. Connections go on in the slow path.\n" +
			"While an agent is alive flush refuses: the agent would take its rules for lost and install them\n" +
			"again. Stop the agent instead, or use --force.",
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.flush(ctx, force) }),
	}
	cmd.Flags().BoolVar(&force, "force", false, "flush although an agent is alive")
	return cmd
}

func (a *app) flush(ctx context.Context, force bool) error {
	if !force {
		if err := a.mustBeDead(ctx); err != nil {
			return err
		}
	}
	n, err := a.Rules.Flush(ctx)
	if err != nil {
		return fmt.Errorf("flush: %s removed, then: %w", plural(n, "rule", "rules"), err)
	}
	switch a.format {
	case formatJSON:
		return writeJSON(a.Stdout, map[string]int{"removed_rules": n})
	case formatCSV:
		return writeCSV(a.Stdout, [][]string{{"removed_rules"}, {strconv.Itoa(n)}})
	default:
		_, err := fmt.Fprintf(a.Stdout, "%s removed\n", plural(n, "rule", "rules"))
		return err
	}
}

// mustBeDead returns nil if nobody listens on the control socket. An agent that
// hangs still owns its rules.
func (a *app) mustBeDead(ctx context.Context) error {
	c, err := control.Dial(ctx, a.socket)
	switch {
	case err == nil:
		c.Close()
		return nof("flush: refused, because an agent listens on %s; stop it (systemctl stop flowshuntd), or use --force", a.socket)
	case errors.Is(err, control.ErrNoAgent):
		return nil
	case errors.Is(err, control.ErrTimeout):
		return nof("flush: refused, because whatever listens on %s is too busy to say that it is an agent; stop it, or use --force", a.socket)
	default:
		return fmt.Errorf("flush: whether an agent is alive is not known: %w (--force flushes all the same)", err)
	}
}
