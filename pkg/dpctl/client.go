package dpctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
)

// DefaultDatapath is the one that OVS has for all bridges with datapath_type netdev.
const DefaultDatapath = "netdev@ovs-netdev"

// Caller calls a method of ovs-vswitchd, as unixctl.Client does.
type Caller interface {
	Call(ctx context.Context, method string, args ...string) (string, error)
}

// Client reads one userspace datapath. Calls may be concurrent where the Caller's may.
type Client struct {
	Caller   Caller
	Datapath string // empty: DefaultDatapath
}

// ErrFormat means that OVS wrote something that is not understood.
var ErrFormat = errors.New("unknown format")

func (c *Client) call(ctx context.Context, method string, args ...string) (string, error) {
	return c.Caller.Call(ctx, "dpctl/"+method, args...)
}

func (c *Client) datapath() string { return cmp.Or(c.Datapath, DefaultDatapath) }

// ChecksTCPSequence reports whether packets of TCP connections are checked against the
// window of what conntrack saw of them. It is one setting for the datapath, on until
// somebody turns it off, and on again when ovs-vswitchd starts.
func (c *Client) ChecksTCPSequence(ctx context.Context) (bool, error) {
	text, err := c.call(ctx, "ct-get-tcp-seq-chk", c.datapath())
	if err != nil {
		return false, err
	}
	switch _, state, _ := strings.Cut(strings.TrimSpace(text), ": "); state {
	case "enabled":
		return true, nil
	case "disabled":
		return false, nil
	}
	return false, fmt.Errorf("%w: %q", ErrFormat, clip(text))
}

// StopCheckingTCPSequence turns that off for the whole datapath, until ovs-vswitchd
// starts again.
func (c *Client) StopCheckingTCPSequence(ctx context.Context) error {
	_, err := c.call(ctx, "ct-disable-tcp-seq-chk", c.datapath())
	return err
}

func clip(s string) string { return s[:min(len(s), 200)] }
