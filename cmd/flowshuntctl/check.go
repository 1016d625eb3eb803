package main

import (
	"context"

	"github.com/flowshunt/flowshunt/pkg/check"
)

// nodeChecks looks at this machine.
type nodeChecks struct{}

func (nodeChecks) Run(ctx context.Context, cfg check.Config) []check.Line { return check.Run(ctx, cfg) }

func (nodeChecks) Probe(ctx context.Context, cfg check.ProbeConfig) []check.Line {
	return check.Probe(ctx, cfg)
}
