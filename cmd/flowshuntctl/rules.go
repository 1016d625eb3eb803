package main

import (
	"context"
	"errors"

	"github.com/flowshunt/flowshunt/cmd/flowshuntctl/internal/cli"
)

var errNotBuilt = errors.New("reading tc is not built into this program")

// kernelRules is the one place where audit and flush meet pkg/eswitch.
//
// TODO: call pkg/eswitch once it is there.
type kernelRules struct{}

func (kernelRules) Audit(context.Context) ([]cli.Found, error) { return nil, errNotBuilt }
func (kernelRules) Flush(context.Context) (int, error)         { return 0, errNotBuilt }
