package ovsdb

import (
	"context"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/client"
)

// DefaultEndpoint is where Open vSwitch's own packages put the socket of the
// local database.
const DefaultEndpoint = "unix:/var/run/openvswitch/db.sock"

// Config says how to reach the database. The zero value is the local one with
// the defaults.
type Config struct {
	Endpoint   string        // see client.ParseRemotes; empty = DefaultEndpoint
	TLS        client.TLS    // for an endpoint of ssl
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
	cfg    Config
	client *client.Client
	news

	mu      sync.Mutex // of what follows: changes come in, and what is remembered expires
	replica *replica   // nil while not connected
	ids     identities
	last    memory
	expiry  *time.Timer
}

// New returns an inventory that does nothing before Run.
func New(cfg Config) (*Inventory, error) {
	cfg = cfg.withDefaults()
	c, err := client.New(client.Config{
		Remotes: cfg.Endpoint, Database: database, Tables: monitored, TLS: cfg.TLS,
		Inactivity: cfg.Inactivity, MinBackoff: cfg.MinBackoff, MaxBackoff: cfg.MaxBackoff,
	})
	if err != nil {
		return nil, err
	}
	inv := &Inventory{cfg: cfg, client: c}
	inv.newest.Store(&Snapshot{Since: time.Now()})
	return inv, nil
}

// Run connects, follows the database, and connects again after every failure,
// for as long as it takes, until ctx ends. It returns the error of ctx, or an
// error at once if the inventory is running already. What went wrong meanwhile
// is in Snapshot.Err.
func (inv *Inventory) Run(ctx context.Context) error { return inv.client.Run(ctx, follower{inv}) }

// follower makes snapshots of what the client tells.
type follower struct{ *Inventory }

// Synced begins a new replica.
func (f follower) Synced(all client.Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replica = newReplica()
	f.replica.apply(all)
	f.last.connected(time.Now(), f.cfg.Hold)
	f.rebuild()
}

// Changed goes on with the replica.
func (f follower) Changed(some client.Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replica.apply(some)
	f.rebuild()
}

// Lost ends the replica.
func (f follower) Lost(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replica = nil
	f.publishLoss(err)
}

// rebuild hands out what the replica says now, and does so again once the content that was
// handed out is too old.
func (inv *Inventory) rebuild() {
	inv.publishContent(build(inv.replica, &inv.ids, &inv.last))
	if inv.expiry != nil {
		inv.expiry.Stop()
	}
	if at, ok := inv.last.expires(); ok {
		inv.expiry = time.AfterFunc(time.Until(at), inv.expire)
	}
}

func (inv *Inventory) expire() {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.replica != nil {
		inv.rebuild()
	}
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
