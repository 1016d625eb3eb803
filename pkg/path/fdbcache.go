package path

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Caller calls a method of ovs-vswitchd; *unixctl.Client is one.
type Caller interface {
	Call(ctx context.Context, method string, args ...string) (string, error)
}

// FDB reads forwarding databases from OVS and remembers each for a short time,
// failures too, so that resolving many connections asks OVS once. Its methods
// may be called concurrently; callers that want the same bridge wait for one
// answer.
type FDB struct {
	caller Caller
	keep   time.Duration

	mu      sync.Mutex
	bridges map[string]*bridgeFDB
}

type bridgeFDB struct {
	mu    sync.Mutex // held while OVS is asked
	asked bool
	at    flows.Instant
	table *Table
	err   error
}

// NewFDB returns a reader that remembers for the time keep.
func NewFDB(caller Caller, keep time.Duration) *FDB {
	return &FDB{caller: caller, keep: keep, bridges: make(map[string]*bridgeFDB)}
}

// Table returns the FDB of a bridge, at most keep old at the moment now.
func (f *FDB) Table(ctx context.Context, bridge string, now flows.Instant) (*Table, error) {
	b := f.bridge(bridge)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asked && now.Sub(b.at) < f.keep {
		return b.table, b.err
	}
	text, err := f.caller.Call(ctx, "fdb/show", bridge)
	if ctx.Err() != nil {
		return nil, ctx.Err() // of this caller alone
	}
	b.asked, b.at, b.table, b.err = true, now, nil, err
	if err == nil {
		b.table, b.err = ParseFDB(text)
	}
	if b.err != nil {
		b.err = fmt.Errorf("bridge %s: %w", bridge, b.err)
	}
	return b.table, b.err
}

func (f *FDB) bridge(name string) *bridgeFDB {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.bridges[name]
	if b == nil {
		b = new(bridgeFDB)
		f.bridges[name] = b
	}
	return b
}

// Retain forgets all bridges but those that keep names.
func (f *FDB) Retain(keep func(bridge string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.bridges {
		if !keep(name) {
			delete(f.bridges, name)
		}
	}
}
