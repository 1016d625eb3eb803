package path

import (
	"context"
	"fmt"
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

func (m *megaflows) compose(ctx context.Context, q Question, in uint32, now, since flows.Instant) (megaflow.Path, error) {
	table, err := m.fresh(ctx, now, since)
	if err != nil {
		return megaflow.Path{}, err
	}
	return megaflow.Compose(table, packetOf(q, in), connectionOf(q))
}

// tunnels returns in which tunnels packets like these come in.
func (m *megaflows) tunnels(ctx context.Context, q Question, in uint32, now flows.Instant) ([]flows.Tunnel, error) {
	table, err := m.fresh(ctx, now, 0)
	if err != nil {
		return nil, err
	}
	return table.Tunnels(packetOf(q, in)), nil
}

// fresh returns flows that were read after since, and not long ago.
func (m *megaflows) fresh(ctx context.Context, now, since flows.Instant) (*megaflow.Table, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table != nil && m.began > since && now.Sub(m.began) < m.keep {
		return m.table, nil
	}
	start := time.Now()
	list, err := m.datapath.Flows(ctx)
	if err != nil {
		return nil, fmt.Errorf("flows of the datapath: %w", err)
	}
	m.table, m.began = megaflow.NewTable(list), now
	m.keep = max(keepMegaflows, readShare*time.Since(start))
	return m.table, nil
}
