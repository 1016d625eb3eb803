package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// maxRemotes bounds a list of remotes.
const maxRemotes = 64

// Endpoint says where an ovsdb-server listens. The zero value is not valid.
type Endpoint struct {
	network, address string
}

// ParseEndpoint reads the connection methods of ovsdb(7) that a client can use: "unix:PATH",
// "tcp:HOST:PORT" and "ssl:HOST:PORT", with IPv6 addresses in brackets.
func ParseEndpoint(s string) (Endpoint, error) {
	network, address, found := strings.Cut(s, ":")
	switch {
	case !found || address == "":
	case network == "unix":
		return Endpoint{network, address}, nil
	case network == "tcp", network == "ssl":
		if _, _, err := net.SplitHostPort(address); err != nil {
			return Endpoint{}, fmt.Errorf("database endpoint %.200q: %w", s, err)
		}
		return Endpoint{network, address}, nil
	}
	return Endpoint{}, fmt.Errorf("database endpoint %.200q: want unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT", s)
}

// ParseRemotes reads a list of endpoints with commas between them, as in Open_vSwitch's
// external_ids:ovn-remote. One at least must be there.
func ParseRemotes(s string) ([]Endpoint, error) {
	var remotes []Endpoint
	for part := range strings.SplitSeq(s, ",") {
		e, err := ParseEndpoint(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if remotes = append(remotes, e); len(remotes) > maxRemotes {
			return nil, fmt.Errorf("more than %d database endpoints", maxRemotes)
		}
	}
	return remotes, nil
}

// String returns the form that ParseEndpoint reads.
func (e Endpoint) String() string { return e.network + ":" + e.address }

// check returns an error for an endpoint that can never be reached with those files.
func (e Endpoint) check(files TLS) error {
	if e.network != "ssl" {
		return nil
	}
	if err := files.check(); err != nil {
		return fmt.Errorf("database endpoint %s: %w", e, err)
	}
	return nil
}

func (e Endpoint) dial(ctx context.Context, files TLS) (net.Conn, error) {
	var d net.Dialer
	if e.network != "ssl" {
		conn, err := d.DialContext(ctx, e.network, e.address)
		return conn, stalled(ctx, err)
	}
	conn, err := d.DialContext(ctx, "tcp", e.address)
	if err != nil {
		return nil, stalled(ctx, err)
	}
	secured, err := files.secure(ctx, conn, e.address)
	if err != nil {
		_ = conn.Close() // it is of no use
		return nil, stalled(ctx, err)
	}
	return secured, nil
}

// stalled names the error of a server that has let the time of ctx go by.
func stalled(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: no connection in time (%w)", ErrStalled, err)
	}
	return err
}
