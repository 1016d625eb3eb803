package metrics

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"golang.org/x/net/netutil"
)

// maxConns bounds the connections at a time; the next ones wait.
const maxConns = 32

// Listen opens the listener that a valid c asks for, with TLS where there is a
// certificate. note is told, maybe concurrently, of changed certificates that are of
// no use; the old ones stay then.
func Listen(ctx context.Context, c Config, note func(error)) (net.Listener, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	files := &certificates{cfg: c, note: note}
	if c.Cert != "" {
		if err := files.open(); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, err
	}
	l = netutil.LimitListener(l, maxConns)
	if c.Cert != "" {
		l = tls.NewListener(l, files.server())
	}
	return l, nil
}
