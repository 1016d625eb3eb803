// Flowshuntd is the Flowshunt agent: it moves established connections that gain
// nothing from the slow path of Open vSwitch into the eswitch, and out again.
package main

import (
	"context"
	"os"

	"github.com/flowshunt/flowshunt/cmd/flowshuntd/internal/cli"
)

func main() {
	ctx, stop := cli.UntilSignal(context.Background())
	code := cli.Run(ctx, os.Stderr, os.Args[1:])
	stop()
	os.Exit(code)
}
