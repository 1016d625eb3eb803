package dbctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Database is one database of a server.
type Database interface {
	// Schema returns <database-schema>.
	Schema(ctx context.Context) (json.RawMessage, error)
	// Transact carries out operations and returns the result of each (RFC 7047, section 4.1.3).
	Transact(ctx context.Context, operations ...any) ([]json.RawMessage, error)
	// Watch has Changed return for each change, from now on, of these columns by table. It is called at most once.
	Watch(ctx context.Context, columns map[string][]string) error
	// Changed waits until there was a change since it was called last.
	Changed(ctx context.Context) error
}

// Config says how a batch is carried out. The zero value is good for every database whose
// rows are called by their column "name".
type Config struct {
	Names   Names
	DryRun  bool   // have the server check the transaction, and change nothing
	Program string // what the database's log is told has made a change
	// Last, if there is one, is carried out behind the commands of the batch, in the same transaction. It is not
	// noted in the database's log.
	Last *Command
	// Warn is told of what is no error and yet not likely to be meant; nil = nobody is.
	Warn func(text string)
}

// ErrUncertain is that the connection was lost, or the time over, while a transaction was under way.
var ErrUncertain = errors.New("it is not known whether the transaction was carried out")

// pauses between attempts after lost races, doubled for each.
const minPause, maxPause = 5 * time.Millisecond, time.Second

// Run carries out a batch as one transaction: all of it, or on an error nothing, unless it is
// ErrUncertain. It begins anew when another writer came in between, and waits
// where a command has to, for as long as ctx allows.
func Run(ctx context.Context, db Database, calls []*Call, cfg Config) error {
	data, err := db.Schema(ctx)
	if err != nil {
		return err
	}
	r := &Reading{schema: &Schema{}, names: cfg.Names, tables: map[string]map[string]bool{}}
	if err := json.Unmarshal(data, r.schema); err != nil {
		return err
	}
	b := &batch{db: db, calls: calls, all: calls, cfg: cfg, reading: r}
	if cfg.Last != nil {
		b.all = append(slices.Clone(calls), &Call{Command: cfg.Last})
	}
	for _, c := range b.all {
		if err := c.Command.Read(r, c); err != nil {
			return err
		}
	}
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := b.attempt(ctx)
		switch {
		case errors.Is(err, ErrWait):
			err = b.wait(ctx)
			pause = minPause
		case errors.Is(err, errRace):
			err = sleep(ctx, pause/2+rand.N(pause/2))
		default:
			return err
		}
		if err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// batch is what attempts have in common.
type batch struct {
	db       Database
	calls    []*Call
	all      []*Call // and the last one
	cfg      Config
	reading  *Reading
	watching bool
}

func (b *batch) attempt(ctx context.Context) error {
	t, err := b.read(ctx)
	if err != nil {
		return err
	}
	for _, c := range b.all {
		c.reset()
		if err := c.Command.Run(t, c); err != nil {
			return err
		}
	}
	if err := t.undefined(); err != nil {
		return err
	}
	if t.Changes() {
		if err := b.commit(ctx, t); err != nil {
			return err
		}
	}
	for _, c := range b.all {
		if c.Command.Done != nil {
			c.Command.Done(t, c)
		}
	}
	return nil
}

func (b *batch) read(ctx context.Context) (*Txn, error) {
	var results []json.RawMessage
	if ops := b.reading.operations(); len(ops) > 0 {
		var err error
		if results, err = b.db.Transact(ctx, ops...); err != nil {
			return nil, err
		}
	}
	rows, err := b.reading.rows(results)
	return newTxn(b.reading, rows), err
}

func (b *batch) commit(ctx context.Context, t *Txn) error {
	t.comments = append([]string{b.comment()}, t.comments...)
	if b.cfg.Warn != nil {
		for _, text := range t.warnings() {
			b.cfg.Warn(text)
		}
	}
	ops, n := t.operations(b.cfg.DryRun)
	results, err := b.db.Transact(ctx, ops...)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return t.finish(results, n, b.cfg.DryRun)
}

// maxComment bounds what is written to the log of a database.
const maxComment = 4096

func (b *batch) comment() string {
	var words []string
	for _, c := range b.calls {
		words = append(words, c.words())
	}
	text := b.cfg.Program + ": " + strings.Join(words, " -- ")
	return strings.ToValidUTF8(text[:min(len(text), maxComment)], "?")
}

// wait returns when something of what is read may have changed since it was read.
func (b *batch) wait(ctx context.Context) error {
	if b.watching {
		return b.db.Changed(ctx)
	}
	columns := map[string][]string{}
	for _, name := range b.reading.order() {
		columns[name] = []string{}
		for column := range b.reading.tables[name] {
			columns[name] = append(columns[name], column)
		}
	}
	b.watching = true
	return b.db.Watch(ctx, columns) // what came before is seen by the reading that follows
}
