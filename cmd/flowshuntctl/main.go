// Flowshuntctl looks into a Flowshunt agent and the rules that it installed.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/flowshunt/flowshunt/cmd/flowshuntctl/internal/cli"
	"github.com/flowshunt/flowshunt/pkg/version"
)

func main() { os.Exit(run(kernelRules{}, nodeChecks{})) }

func run(rules cli.Rules, checks cli.Checks) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := cli.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Rules: rules, Checks: checks, Version: version.Get()}
	return cli.Run(ctx, env, os.Args[1:])
}
