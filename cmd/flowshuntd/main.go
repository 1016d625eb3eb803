// Flowshuntd is the Flowshunt agent: it moves established connections that gain
// nothing from the slow path of Open vSwitch into the eswitch, and out again.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/pkg/agent"
	"github.com/flowshunt/flowshunt/pkg/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "flowshuntd:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	o := defaults()
	cmd := &cobra.Command{
		Use:           "flowshuntd",
		Short:         "Offload established connections from Open vSwitch to the eswitch",
		Version:       version.Get().String(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.config()
			if err != nil {
				return err
			}
			cfg.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: o.logLevel}))
			return agent.Run(cmd.Context(), cfg)
		},
	}
	o.register(cmd.Flags())
	return cmd
}
