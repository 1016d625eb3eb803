package underlay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

const retryAfter = 100 * time.Millisecond

// Watcher hears of changes of routes, of the rules that choose among their tables, of
// addresses, and of devices, whose MTU bounds that of routes.
type Watcher struct{ events *nlsocket.Listener }

// Watch begins to listen, in the network namespace of the calling thread.
func Watch() (*Watcher, error) {
	events, err := nlsocket.Listen(unix.NETLINK_ROUTE,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_LINK)
	if err != nil {
		return nil, fmt.Errorf("subscribe to changes of routes: %w", err)
	}
	return &Watcher{events}, nil
}

// Close ends Run.
func (w *Watcher) Close() error { return w.events.Close() }

// Run calls changed after each change, and whenever one may have been missed, until the
// context ends, whose error it returns.
func (w *Watcher) Run(ctx context.Context, changed func()) error {
	for {
		_, err := w.events.Receive(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil, errors.Is(err, nlsocket.ErrOverrun):
			changed()
		default:
			changed()
			select {
			case <-time.After(retryAfter):
			case <-ctx.Done():
			}
		}
	}
}
