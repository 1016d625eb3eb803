package ovsdb

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Config says how to reach the database. The zero value is the local one with
// the defaults.
type Config struct {
	Endpoint   string        // see ParseEndpoint; empty = DefaultEndpoint
	Inactivity time.Duration // a server from which nothing comes for so long is given up; 0 = 5 s
	MinBackoff time.Duration // first pause before a new attempt, doubled for each; 0 = 100 ms
	MaxBackoff time.Duration // longest pause; 0 = 5 s

	// Hold is for how long after a connection was made a row has what it had on the
	// last one in columns that a restart of the server empties, until ovs-vswitchd
	// fills them again; 0 = 10 s. See Port.Ifindex.
	Hold time.Duration
}

func (c Config) withDefaults() Config {
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	if c.Endpoint == "" {
		c.Endpoint = DefaultEndpoint
	}
	orDefault(&c.Inactivity, 5*time.Second)
	orDefault(&c.MinBackoff, 100*time.Millisecond)
	orDefault(&c.MaxBackoff, 5*time.Second)
	orDefault(&c.Hold, 10*time.Second)
	c.MaxBackoff = max(c.MaxBackoff, c.MinBackoff)
	return c
}

// Inventory follows the database of one Open vSwitch. Run does the work; every
// other method may be called at any time, from any goroutine.
type Inventory struct {
	cfg      Config
	endpoint Endpoint
	running  atomic.Bool
	ids      identities // of Run's goroutine, as is
	last     memory
	news
}

// New returns an inventory that does nothing before Run.
func New(cfg Config) (*Inventory, error) {
	cfg = cfg.withDefaults()
	endpoint, err := ParseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	inv := &Inventory{cfg: cfg, endpoint: endpoint}
	inv.newest.Store(&Snapshot{Since: time.Now()})
	return inv, nil
}

// Run connects, follows the database, and connects again after every failure,
// for as long as it takes, until ctx ends. It returns the error of ctx, or an
// error at once if the inventory is running already. What went wrong meanwhile
// is in Snapshot.Err.
func (inv *Inventory) Run(ctx context.Context) error {
	if !inv.running.CompareAndSwap(false, true) {
		return errors.New("the inventory is running already")
	}
	defer inv.running.Store(false)
	pause := inv.cfg.MinBackoff
	for {
		begin := time.Now()
		err := inv.follow(ctx)
		inv.publishLoss(err)
		if time.Since(begin) > inv.cfg.MaxBackoff {
			pause = inv.cfg.MinBackoff // it had worked
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, inv.cfg.MaxBackoff)
	}
}

// follow lives as long as one connection and returns why it ended.
func (inv *Inventory) follow(ctx context.Context) error {
	connecting, cancel := context.WithTimeout(ctx, inv.cfg.Inactivity)
	defer cancel()
	conn, err := inv.endpoint.dial(connecting)
	if err != nil {
		return err
	}
	w := newWire(conn, inv.cfg.Inactivity)
	defer w.close()

	r := newReplica()
	if op, err := r.monitor(ctx, w); err != nil {
		return inv.endpoint.failed(op, err)
	}
	inv.last.connected(time.Now(), inv.cfg.Hold)
	for {
		inv.publishContent(build(r, &inv.ids, &inv.last))
		m, err := inv.nextUpdate(ctx, w)
		if errors.Is(err, errExpired) {
			continue
		}
		if err != nil {
			return inv.endpoint.failed("update", err)
		}
		if err := r.updateAll(m, w); err != nil {
			return inv.endpoint.failed("update", err)
		}
	}
}

// errExpired says that a snapshot has to be built again without what was remembered.
var errExpired = errors.New("what was remembered has expired")

// nextUpdate waits for a message, or until the content that was handed out is too old.
func (inv *Inventory) nextUpdate(ctx context.Context, w *wire) (message, error) {
	if at, ok := inv.last.expires(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, at, errExpired)
		defer cancel()
	}
	return w.next(ctx)
}

// maxBatch bounds how many updates one snapshot waits for.
const maxBatch = 256

// updateAll carries out an update and those that have come in behind it.
func (r *replica) updateAll(m message, w *wire) error {
	for range maxBatch {
		if err := r.update(m); err != nil {
			return err
		}
		var more bool
		if m, more = w.poll(); !more {
			return nil
		}
	}
	return r.update(m)
}

// publishContent hands out what a connection says.
func (inv *Inventory) publishContent(s *Snapshot) {
	old := inv.newest.Load()
	s.Connected, s.Synced, s.Since = true, true, old.Since
	if !old.Connected {
		s.Since = time.Now()
	} else if len(Diff(old, s)) == 0 {
		return
	}
	inv.publish(s)
}

// publishLoss hands out the last content again, as no longer current.
func (inv *Inventory) publishLoss(err error) {
	old := inv.newest.Load()
	if !old.Connected && old.Err != nil && old.Err.Error() == err.Error() {
		return
	}
	s := *old
	s.Connected, s.Err = false, err
	if old.Connected {
		s.Since = time.Now()
	}
	inv.publish(&s)
}
