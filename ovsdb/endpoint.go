package ovsdb

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// DefaultEndpoint is where Open vSwitch's own packages put the socket of the
// local database.
const DefaultEndpoint = "unix:/var/run/openvswitch/db.sock"

// Endpoint says where an ovsdb-server listens. The zero value is not valid.
type Endpoint struct {
	network, address string
}

// ParseEndpoint reads the connection methods of ovsdb(7) that a client can use:
// "unix:PATH" and "tcp:HOST:PORT", with IPv6 addresses in brackets.
func ParseEndpoint(s string) (Endpoint, error) {
	network, address, found := strings.Cut(s, ":")
	switch {
	case !found || address == "":
	case network == "unix":
		return Endpoint{network, address}, nil
	case network == "tcp":
		if _, _, err := net.SplitHostPort(address); err != nil {
			return Endpoint{}, fmt.Errorf("database endpoint %q: %w", s, err)
		}
		return Endpoint{network, address}, nil
	case network == "ssl":
		return Endpoint{}, fmt.Errorf("database endpoint %q: ssl is not supported yet, use unix:PATH or tcp:HOST:PORT", s)
	}
	return Endpoint{}, fmt.Errorf("database endpoint %q: want unix:PATH or tcp:HOST:PORT", s)
}

// String returns the form that ParseEndpoint reads.
func (e Endpoint) String() string { return e.network + ":" + e.address }

func (e Endpoint) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, e.network, e.address)
	if err != nil {
		return nil, e.failed("connect", err)
	}
	return conn, nil
}
