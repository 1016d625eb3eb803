package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/flowshunt/flowshunt/cmd/flowshuntctl/internal/cli"
	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/eswitch/openflow"
)

// kernelRules reads and clears our rules in tc, in this network namespace, and among the
// flows of Open vSwitch.
type kernelRules struct{}

func (kernelRules) Audit(ctx context.Context) (list []cli.Found, err error) {
	err = eachEswitch(ctx, func(e *eswitch.Eswitch) error {
		found, err := e.Audit(ctx)
		for _, f := range found {
			list = append(list, describe(f))
		}
		return err
	})
	return list, err
}

func (kernelRules) Flush(ctx context.Context) (removed int, err error) {
	err = eachEswitch(ctx, func(e *eswitch.Eswitch) error {
		n, err := e.Flush(ctx)
		removed += n
		return err
	})
	return removed, err
}

// asFlows calls fn for the rules that are flows of bridges. Where Open vSwitch has its
// sockets, the environment says as for its own programs.
func asFlows(fn func(*eswitch.Eswitch) error) error {
	driver, err := openflow.Open(openflow.Config{Rundir: os.Getenv("OVS_RUNDIR")})
	if err != nil {
		return err
	}
	return errors.Join(fn(eswitch.New(driver, eswitch.Config{})), driver.Close())
}

// eachEswitch calls fn for each preference at which an agent may have put rules:
// what it was configured with, tc itself tells. It goes on after errors.
func eachEswitch(ctx context.Context, fn func(*eswitch.Eswitch) error) error {
	driver, err := flower.Open(flower.Config{})
	if err != nil {
		return err
	}
	defer driver.Close()
	others, err := driver.Preferences(ctx)
	errs := []error{err}
	for _, preference := range others {
		if preference == flower.DefaultPreference {
			continue
		}
		other, err := flower.Open(flower.Config{Preference: preference})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, fn(eswitch.New(other, eswitch.Config{})), other.Close())
	}
	errs = append(errs, asFlows(fn))
	// The last one finds nothing of ours left that keeps a flush from releasing ports.
	return errors.Join(append(errs, fn(eswitch.New(driver, eswitch.Config{})))...)
}

func describe(f eswitch.Found) cli.Found {
	return cli.Found{
		Session: f.Session, Generation: uint32(f.Generation),
		Ifindex: f.Ref.Link, Port: deviceName(f.Ref.Link), Handle: f.Ref.Handle, Dir: f.Ref.Dir(),
		Preference: f.Preference, Packets: f.Count.Packets, Bytes: f.Count.Bytes, InHW: f.InHW,
		Rule: ruleText(f),
	}
}

func ruleText(f eswitch.Found) string {
	r := f.Rule
	if f.Session == 0 {
		return fmt.Sprintf("guard: %s stays in the slow path with at most %d hops left", f.Ref.Class, flows.MaxHops)
	}
	s := fmt.Sprintf("%s %s", r.Tuple, r.Frame)
	if !r.Change.IsZero() {
		s += fmt.Sprintf(" change to %s", r.Change.Value())
	}
	return s + " redirect to " + deviceName(r.Out)
}

func deviceName(ifindex int32) string {
	dev, err := net.InterfaceByIndex(int(ifindex))
	if err != nil {
		return fmt.Sprintf("ifindex %d", ifindex)
	}
	return dev.Name
}
