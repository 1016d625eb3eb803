package openflow

import (
	"cmp"
	"context"
	"net"
	"path/filepath"
	"time"
)

const (
	defaultPending = 4096
	defaultTimeout = 5 * time.Second
	defaultIdle    = time.Second
)

// Config says which bridge is watched, and how.
type Config struct {
	// Socket is the path of the bridge's management socket: see SocketPath.
	Socket string
	// Timeout is how long the bridge may take to answer: a probe, a request of
	// the handshake. 0 means 5 s.
	Timeout time.Duration
	// Idle is the silence after which the bridge is probed. 0 means 1 s.
	Idle time.Duration
	// Pending is how many changes wait for the handler before they become one
	// Lost. 0 means 4,096.
	Pending int

	offer uint32 // bitmap of versions; 0 means known
}

// SocketPath returns the management socket of a bridge; rundir is where OVS has
// its sockets.
func SocketPath(rundir, bridge string) string { return filepath.Join(rundir, bridge+".mgmt") }

// Handler is told what happens. Calls come one at a time, in order. While one
// runs, changes gather, up to Config.Pending.
type Handler interface {
	// Watching is called when from now on every change will be told: after
	// connecting, and after each Lost that the connection survived. What happened
	// before is unknown.
	Watching(Version)
	// Changed is called only while watching, with at least one change. The handler
	// may keep the slice.
	Changed([]Change)
	// Lost is called when changes may have been missed, until Watching is called.
	Lost(reason error)
}

// Watch connects to a bridge and tells the handler what changes until the
// connection or ctx ends; it returns why: the context's error, a *Refusal, or
// what wraps an error of this package. Lost is called before it returns if the
// handler was watching, except when ctx ended.
func Watch(ctx context.Context, config Config, h Handler) error {
	config.Timeout = cmp.Or(config.Timeout, defaultTimeout)
	config.offer = cmp.Or(config.offer, known)
	config.Idle = cmp.Or(config.Idle, defaultIdle)
	var dialer net.Dialer
	sock, err := dialer.DialContext(ctx, "unix", config.Socket)
	if err != nil {
		return reachError(err)
	}
	q := newQueue(cmp.Or(config.Pending, defaultPending))
	c := newConn(sock, config, q)
	read := make(chan struct{})
	go func() {
		defer close(read)
		q.close(c.run(c.handle))
	}()
	defer func() {
		sock.Close()
		<-read
	}()
	return tell(ctx, q, c, h)
}

// tell calls the handler until the connection or ctx ends.
func tell(ctx context.Context, q *queue, c *conn, h Handler) error {
	watching := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.ready:
		}
		b := q.take(watching)
		if b.lost != nil {
			watching = false
			h.Lost(b.lost)
		}
		if b.watching {
			watching = true
			h.Watching(c.version)
		}
		if len(b.changes) > 0 {
			h.Changed(b.changes)
		}
		if b.end != nil {
			if watching {
				h.Lost(b.end)
			}
			return b.end
		}
	}
}
