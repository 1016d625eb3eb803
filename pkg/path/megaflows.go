package path

import (
	"context"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// How long the flows of the datapath are remembered: resolving many connections
// reads them once, and reading them takes no more than a fifth of the time.
const (
	keepMegaflows = 250 * time.Millisecond
	readShare     = 5
)

// megaflows composes paths from the flows of the datapath.
type megaflows struct {
	datapath Datapath

	mu    sync.Mutex // held while they are read
	table *megaflow.Table
	began flows.Instant // before they were read
	keep  time.Duration
}

// compose is asked no sooner than the flows have settled after doubted.
func (m *megaflows) compose(ctx context.Context, q Question, in uint32, now, doubted flows.Instant) (megaflow.Path, error) {
	table, err := m.fresh(ctx, now, doubted)
	if err != nil {
		return megaflow.Path{}, err
	}
	return megaflow.Compose(table, packetOf(q, in), connectionOf(q))
}

// fresh returns what was read after the flows had settled: a table that took long to
// read is kept for longer than that, and may be from before the doubt.
func (m *megaflows) fresh(ctx context.Context, now, doubted flows.Instant) (*megaflow.Table, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table != nil && m.began.Sub(doubted) > settled && now.Sub(m.began) < m.keep {
		return m.table, nil
	}
	start := time.Now()
	list, err := m.datapath.Flows(ctx)
	if err != nil {
		return nil, err
	}
	m.table, m.began = megaflow.NewTable(list), now
	m.keep = max(keepMegaflows, readShare*time.Since(start))
	return m.table, nil
}
