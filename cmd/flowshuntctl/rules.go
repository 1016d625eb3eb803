package main

import (
	"context"
	"fmt"
	"net"

	"github.com/flowshunt/flowshunt/cmd/flowshuntctl/internal/cli"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
)

// kernelRules reads and clears our rules in tc, in this network namespace.
type kernelRules struct{}

func (kernelRules) Audit(ctx context.Context) ([]cli.Found, error) {
	e, done, err := openEswitch()
	if err != nil {
		return nil, err
	}
	defer done()
	found, err := e.Audit(ctx)
	list := make([]cli.Found, len(found))
	for i, f := range found {
		list[i] = describe(f)
	}
	return list, err
}

func (kernelRules) Flush(ctx context.Context) (int, error) {
	e, done, err := openEswitch()
	if err != nil {
		return 0, err
	}
	defer done()
	return e.Flush(ctx)
}

func openEswitch() (*eswitch.Eswitch, func(), error) {
	driver, err := flower.Open(flower.Config{})
	if err != nil {
		return nil, nil, err
	}
	return eswitch.New(driver, eswitch.Config{}), func() { _ = driver.Close() }, nil
}

func describe(f eswitch.Found) cli.Found {
	r := f.Rule
	return cli.Found{
		Session: f.Session, Generation: uint32(f.Generation),
		Ifindex: f.Ref.Link, Port: deviceName(f.Ref.Link), Handle: f.Ref.Handle, Dir: f.Ref.Dir(),
		Preference: f.Preference, Packets: f.Count.Packets, Bytes: f.Count.Bytes, InHW: f.InHW,
		Rule: fmt.Sprintf("%s %s>%s redirect to %s", r.Tuple, r.SrcMAC, r.DstMAC, deviceName(r.Out)),
	}
}

func deviceName(ifindex int32) string {
	dev, err := net.InterfaceByIndex(int(ifindex))
	if err != nil {
		return fmt.Sprintf("ifindex %d", ifindex)
	}
	return dev.Name
}
