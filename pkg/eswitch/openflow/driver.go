package openflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// DefaultPriority is above what pipelines use by habit, and leaves some for an operator
// who wants a say before us.
const DefaultPriority = 61701

// DefaultHard is the default of Config.Hard.
const DefaultHard = 30 * time.Second

// Config changes how a Driver works. The zero value is fine.
type Config struct {
	Rundir     string        // where ovs-vswitchd has its sockets; empty: the usual place
	Priority   uint16        // of flows, and one less than that of guards; 0: DefaultPriority
	Generation uint8         // of the rules it makes
	Hard       time.Duration // how long a rule lives without Keep, due at a third of it, in seconds; 0: DefaultHard
}

// Driver executes rules by flows of Open vSwitch. It implements eswitch.Driver and
// eswitch.Keeper.
type Driver struct {
	cfg   Config
	links *netlink.Handle

	mu       sync.Mutex
	bridges  map[string]*bridge
	home     map[string]*bridge // where a port of that name was seen last
	prepared map[int32]bool
	known    map[uint32]standing // rules, by handle, that were added or seen
	handles  map[standing]uint32 // the opposite
}

// standing is what two rules cannot have in common.
type standing struct {
	bridge string
	match  of.Match
}

// Open returns a driver. Network devices are those of the network namespace of the
// calling thread.
func Open(cfg Config) (*Driver, error) {
	cfg.Rundir = cmp.Or(cfg.Rundir, unixctl.DefaultRundir)
	cfg.Priority = cmp.Or(cfg.Priority, DefaultPriority)
	cfg.Hard = cmp.Or(cfg.Hard, DefaultHard)
	switch {
	case cfg.Hard < time.Second || cfg.Hard > maxHard*time.Second:
		return nil, fmt.Errorf("timeout of flows %v: want 1s to %v", cfg.Hard, maxHard*time.Second)
	case cfg.Priority == 1<<16-1:
		return nil, fmt.Errorf("priority of flows %d: one above that is needed", cfg.Priority)
	}
	links, err := netlink.NewHandle()
	if err != nil {
		return nil, fmt.Errorf("network devices: %w", err)
	}
	return &Driver{
		cfg: cfg, links: links,
		bridges: make(map[string]*bridge), home: make(map[string]*bridge), prepared: make(map[int32]bool),
		known: make(map[uint32]standing), handles: make(map[standing]uint32),
	}, nil
}

// Close ends the connections. Rules stay until their time is over.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.links.Close()
	var errs []error
	for _, b := range d.bridges {
		errs = append(errs, b.close())
	}
	return errors.Join(errs...)
}

func (d *Driver) hard() uint16 { return uint16(d.cfg.Hard / time.Second) }

// KeepWithin implements eswitch.Keeper.
func (d *Driver) KeepWithin() time.Duration { return d.cfg.Hard }

// remember notes that a rule stands, or will.
func (d *Driver) remember(handle uint32, s standing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[handle], d.handles[s] = s, handle
}

func (d *Driver) forget(handle uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.known[handle]
	delete(d.known, handle)
	if ok && d.handles[s] == handle {
		delete(d.handles, s)
	}
}

// taken returns the handle of the rule that stands there, 0 for none.
func (d *Driver) taken(s standing) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.handles[s]
}

// classify puts the sentinel that callers look for into the chain of a refusal.
func classify(err error) error {
	var refusal *of.RequestError
	switch {
	case !errors.As(err, &refusal):
		return err
	case *refusal == of.RequestError{Type: of.FlowModFailed, Code: of.CodeTableFull}:
		return fmt.Errorf("%w: %w", eswitch.ErrFull, err)
	case *refusal == of.RequestError{Type: of.BadAction, Code: of.CodeBadOutPort}:
		return fmt.Errorf("%w: %w", eswitch.ErrPortGone, err)
	case refusal.Type == of.BadMatch, refusal.Type == of.BadAction:
		return fmt.Errorf("%w: %w", eswitch.ErrNotSupported, err)
	}
	return err
}

// unknown says that the outcome of an addition is, unless it was never sent.
func unknown(ctx context.Context, err error) error {
	return fmt.Errorf("%w: %w", eswitch.ErrUnknown, cmp.Or(ctx.Err(), err))
}
