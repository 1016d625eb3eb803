package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Config says what to follow, and where it is served. Remotes, Database and Tables must be
// set.
type Config struct {
	Remotes  string // see ParseRemotes
	Database string
	Tables   []Table
	TLS      TLS // for remotes of ssl

	// InOrder begins with the first remote. Otherwise it is one at random, as with OVN's own
	// clients, so that the members of a cluster have about equally many.
	InOrder bool

	Inactivity time.Duration // a server from which nothing comes for so long is given up; 0 = 5 s
	// Snapshot takes the place of Inactivity, where it is longer, while a server makes the first
	// reply with all rows: it does nothing else, and clients that come all at once wait for
	// each other.
	Snapshot   time.Duration
	MinBackoff time.Duration // first pause after a round of all remotes, doubled for each; 0 = 100 ms
	MaxBackoff time.Duration // longest pause; 0 = 5 s

	MaxMessage int // bytes of one message; 0 = 128 MiB
	MaxRows    int // rows of each table; 0 = 262,144
}

func (c Config) withDefaults() Config {
	setDefault(&c.Inactivity, 5*time.Second)
	setDefault(&c.MinBackoff, 100*time.Millisecond)
	setDefault(&c.MaxBackoff, 5*time.Second)
	setDefault(&c.MaxMessage, 128<<20)
	setDefault(&c.MaxRows, 1<<18)
	c.MaxBackoff = max(c.MaxBackoff, c.MinBackoff)
	c.Snapshot = max(c.Snapshot, c.Inactivity)
	return c
}

func setDefault[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// Handler is told what a Client learns, by one goroutine at a time. Rows that were told
// are never changed afterwards and must not be written to. A handler that takes longer than
// a few seconds makes the server give the connection up.
type Handler interface {
	// Synced tells all rows there are, each as a Change without Old: what was told before
	// is void.
	Synced(Batch)
	// Changed tells one or more whole transactions, in their order. A row can occur more
	// than once.
	Changed(Batch)
	// Lost tells why the connection ended, or could not be made: an *Error. What was told
	// may be behind from now on. The end of Run is such a loss.
	Lost(error)
}

// Batch is a list of changes. Rows of one transaction are in the order of Config.Tables,
// within a table by uuid.
type Batch []Change

// Change is one row that was added (Old is nil), changed, or removed (New is nil). Old and
// New are otherwise pointers of the type of Table.Row: see Row.
type Change struct {
	Table    string
	UUID     string
	Old, New any
}

// Row returns a Change's Old or New as what it is, and nil where there is none.
func Row[T any](row any) *T {
	t, _ := row.(*T)
	return t
}

// State is how a client is getting on.
type State struct {
	Endpoint Endpoint  // the server it is connected to, or was at last
	Synced   bool      // Handler.Synced was called, and Lost not yet
	Since    time.Time // when Synced took its present value
	Err      error     // why it is not Synced; nil before the first attempt has failed
}

// Client follows a database. Run does the work; the other methods may be called at any
// time, from any goroutine.
type Client struct {
	cfg     Config
	remotes []Endpoint
	running atomic.Bool
	state   atomic.Pointer[State]
	seen    logPosition // of Run's goroutine

	conditions   *conditions
	transactions transactions
}

// New returns a client that does nothing before Run.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	remotes, err := ParseRemotes(cfg.Remotes)
	if err != nil {
		return nil, err
	}
	for _, r := range remotes {
		if err := r.check(cfg.TLS); err != nil {
			return nil, err
		}
	}
	if cfg.Database == "" {
		return nil, errors.New("no database is named")
	}
	if _, err := newTables(cfg.Tables, cfg.MaxRows); err != nil {
		return nil, fmt.Errorf("database %s: %w", cfg.Database, err)
	}
	if !cfg.InOrder {
		rand.Shuffle(len(remotes), func(i, j int) { remotes[i], remotes[j] = remotes[j], remotes[i] })
	}
	c := &Client{cfg: cfg, remotes: remotes, conditions: newConditions(cfg.Tables)}
	c.state.Store(&State{Endpoint: remotes[0], Since: time.Now()})
	return c, nil
}

// State returns how the client is getting on now.
func (c *Client) State() State { return *c.state.Load() }

// Run connects, follows the database, and connects again after every failure, to the next
// remote, for as long as it takes, until ctx ends. It returns the error of ctx, or an
// error at once if the client is running already.
func (c *Client) Run(ctx context.Context, h Handler) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("the client is running already")
	}
	defer c.running.Store(false)
	pause := c.cfg.MinBackoff
	for attempt := 1; ; attempt++ {
		begin := time.Now()
		remote := c.remotes[(attempt-1)%len(c.remotes)]
		err := c.follow(ctx, remote, h)
		c.noteLoss(remote, err)
		h.Lost(err)
		if time.Since(begin) > c.cfg.MaxBackoff+c.cfg.Snapshot {
			pause = c.cfg.MinBackoff // it had worked
		}
		if attempt%len(c.remotes) != 0 && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, c.cfg.MaxBackoff)
	}
}

func (c *Client) noteSync(remote Endpoint) {
	c.state.Store(&State{Endpoint: remote, Synced: true, Since: time.Now()})
}

func (c *Client) noteLoss(remote Endpoint, err error) {
	s := State{Endpoint: remote, Since: c.State().Since, Err: err}
	if c.State().Synced {
		s.Since = time.Now()
	}
	c.state.Store(&s)
}

// follow lives as long as one connection and returns why it ended.
func (c *Client) follow(ctx context.Context, remote Endpoint, h Handler) error {
	failed := func(op string, err error) error {
		return &Error{Endpoint: remote, Database: c.cfg.Database, Op: op, Err: err}
	}
	connecting, cancel := context.WithTimeout(ctx, c.cfg.Inactivity)
	defer cancel()
	conn, err := remote.dial(connecting, c.cfg.TLS)
	if err != nil {
		return failed("connect", err)
	}
	w := newWire(conn, c.cfg.Inactivity, c.cfg.MaxMessage)
	defer w.close()

	s := &session{client: c, wire: w, handler: h}
	if op, err := s.start(ctx); err != nil {
		return failed(op, err)
	}
	c.noteSync(remote)
	return failed("update", s.run(ctx))
}
