// Package flower drives an eswitch, or the kernel in its place, through tc: a
// rule is a flower filter on the ingress hook of a port's clsact that matches all of
// how packets come in, with actions, each with our cookie, that make them what they
// leave as and redirect them.
//
// A filter is one of ours if its kind is flower, its preference is within our
// range and all its actions have a cookie of our shape. Nothing else is ever
// touched.
package flower

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// DefaultPreference is the first of our preferences unless configured: far from
// those that OVS and people use (from 1 upward) and from those that the kernel
// chooses (from 49152 downward).
const DefaultPreference = 0x4000

// Mode says who executes rules.
type Mode uint8

// The modes.
const (
	SkipHW Mode = iota // the kernel
	// SkipSW: hardware; a rule that no driver takes fails with ErrNotOffloaded. Where the
	// kernel does not let rules say so, as at tunnels and bonds, a curtain keeps it from
	// them, and Prepare fails with ErrForeign if that would hide filters of others.
	SkipSW
	Both // hardware where a driver takes the rule, the kernel for the rest
)

// Config changes how a Driver works. The zero value is for a machine without a
// NIC that could do it.
type Config struct {
	Mode Mode
	// RequireHW makes Mode Both fail with ErrNotOffloaded where no driver takes the rule.
	RequireHW bool
	// Preference is the first of eswitch.Classes preferences, one for each class; the
	// guards have the eswitch.GuardClasses ones before it, a curtain the one before these.
	// 0 means DefaultPreference.
	// Rules at other preferences are not recognized as ours, except by Preferences. Where
	// CheckPreference fails rules can be found and removed, but no port be prepared.
	Preference uint16
	// Generation goes into the cookies: it tells the lives of an agent apart.
	Generation uint8
	// Sockets is how many requests can be with the kernel at once; 0 means 8. With
	// more than eswitch.Config.Workers a removal need not queue behind installations.
	Sockets int
}

// Driver is an eswitch.Driver over rtnetlink. It works in the network namespace
// in which it was opened.
type Driver struct {
	cfg     Config
	flags   tc.FilterFlags
	workers chan *worker
	all     []*worker
	tellsDF bool // the kernel knows of tunnel_key's no-fragment flag
	foreign schedule

	links    *nlsocket.Conn // with SkipSW: asks what devices are
	curtains linkSet        // ifindexes of the ports that have one
}

// worker is a socket with what is reused from request to request.
type worker struct {
	conn    *tc.Conn
	batch   tc.Batch
	sent    []sent // by request
	results []tc.Result
	filter  tc.Filter
}

// sent is the addition or deletion of a rule.
type sent struct {
	change int // its index
	flags  tc.FilterFlags
}

// hardwareAlone reports whether the kernel was told to leave the rule to hardware.
func (s sent) hardwareAlone() bool { return s.flags&tc.SkipSW != 0 }

// asked reports whether hardware was asked to take the rule, and need not.
func (s sent) asked() bool { return s.flags&(tc.SkipSW|tc.SkipHW) == 0 }

// Open opens a driver in the network namespace of the calling thread.
func Open(cfg Config) (*Driver, error) {
	if cfg.Preference == 0 {
		cfg.Preference = DefaultPreference
	}
	if cfg.Sockets <= 0 {
		cfg.Sockets = 8
	}
	d := &Driver{cfg: cfg, workers: make(chan *worker, cfg.Sockets), tellsDF: tellsDF()}
	switch cfg.Mode {
	case SkipHW:
		d.flags = tc.SkipHW
	case SkipSW:
		d.flags = tc.SkipSW | tc.Verbose
	case Both:
		d.flags = tc.Verbose
	default:
		return nil, fmt.Errorf("mode %d: there is none", cfg.Mode)
	}
	if cfg.Mode == SkipSW {
		links, err := nlsocket.Dial(unix.NETLINK_ROUTE, nlsocket.Config{ReceiveBuffer: 256 << 10, Timeout: 10 * time.Second})
		if err != nil {
			return nil, err
		}
		d.links = links
	}
	for range cfg.Sockets {
		conn, err := tc.Dial(tc.Config{})
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		w := &worker{conn: conn, filter: tc.Filter{Actions: make([]tc.Action, 1)}}
		d.all = append(d.all, w)
		d.workers <- w
	}
	return d, nil
}

// Close closes the sockets. Rules stay. Calls that run end first or fail.
func (d *Driver) Close() error {
	var errs []error
	if d.links != nil {
		errs = append(errs, d.links.Close())
	}
	for _, w := range d.all {
		errs = append(errs, w.conn.Close())
	}
	return errors.Join(errs...)
}

// Watch listens, in the network namespace of the calling thread, to the deletions of
// others: what this driver itself deletes is passed over.
func (d *Driver) Watch() (*tc.Watcher, error) {
	own := make([]uint32, len(d.all))
	for i, w := range d.all {
		own[i] = w.conn.PortID()
	}
	return tc.Watch(own...)
}

// with calls fn with a worker that nobody else uses meanwhile.
func (d *Driver) with(ctx context.Context, fn func(*worker) error) error {
	select {
	case w := <-d.workers:
		defer func() { d.workers <- w }()
		return fn(w)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do sends one request and returns its result.
func (w *worker) do(ctx context.Context, fill func(*tc.Batch) error) (tc.Result, error) {
	w.batch.Reset()
	if err := fill(&w.batch); err != nil {
		return tc.Result{}, err
	}
	var result [1]tc.Result
	err := w.conn.Do(ctx, &w.batch, result[:])
	if err == nil {
		err = result[0].Err
	}
	return result[0], err
}
