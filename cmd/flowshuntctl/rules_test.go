package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/flowshunt/flowshunt/cmd/flowshuntctl/internal/cli"
	"github.com/flowshunt/flowshunt/flows"
)

// scriptedRules are what RULES names: none (the default), four, denied, broken.
type scriptedRules struct{}

func (scriptedRules) Audit(context.Context) ([]cli.Found, error) {
	switch os.Getenv("RULES") {
	case "four":
		return fourRules(), nil
	case "denied":
		return nil, fmt.Errorf("dump filters: %w", syscall.EPERM)
	case "broken":
		return nil, errors.New("dump filters of vnet0: kernel says: Specified \x1b[31mqdisc not found")
	}
	return nil, nil
}

func (scriptedRules) Flush(context.Context) (int, error) {
	switch os.Getenv("RULES") {
	case "four":
		return 4, nil
	case "denied":
		return 0, fmt.Errorf("delete filter: %w", syscall.EPERM)
	case "broken":
		return 3, errors.New("delete filter of vnet0: device busy")
	}
	return 0, nil
}

// fourRules are two sessions: the one that the healthy agent claims, and one of
// the same number from an earlier generation.
func fourRules() []cli.Found {
	rule := func(gen uint32, handle uint32, port string, dir flows.Dir, text string) cli.Found {
		return cli.Found{
			Session: 1, Generation: gen, Ifindex: int32(10 + dir), Port: port, Preference: 100,
			Handle: handle, Dir: dir, Packets: 1500, Bytes: 2_250_000, InHW: gen == 7, Rule: text,
		}
	}
	const fwd, back = "tcp 10.0.0.1:40000 10.0.0.2:5201 redirect vnet1", "tcp 10.0.0.2:5201 10.0.0.1:40000 redirect vnet0"
	return []cli.Found{
		rule(7, 2, "vnet1", flows.Reply, back), rule(7, 1, "vnet0", flows.Orig, fwd),
		rule(6, 4, "vnet1", flows.Reply, back), rule(6, 3, "vnet0", flows.Orig, fwd),
	}
}
