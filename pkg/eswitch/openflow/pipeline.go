package openflow

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// lookAgain is how long it is believed of a bridge that its flows leave Aside alone: to
// see it takes all of them.
const lookAgain = 30 * time.Second

// pipeline remembers whether a bridge can have rules.
type pipeline struct {
	mu   sync.Mutex // held while the flows are read
	last time.Time
	err  error
	maps bool // options of Geneve are fields
}

// leavesAside returns why a bridge cannot have rules: a flow of its pipeline looks at the
// bit of the metadata by which packets are kept from our flows. Such packets, and traces
// that ask for what the bridge does without us, would be treated as others are not.
func (b *bridge) leavesAside(ctx context.Context) error {
	p := &b.pipeline
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.last.IsZero() && time.Since(p.last) < lookAgain {
		return p.err
	}
	p.err = nil
	err := b.reads.with(ctx, func(c *of.Client) (err error) {
		if p.maps, err = c.MapsOptions(ctx); err != nil {
			return err
		}
		return c.Flows(ctx, of.Filter{Table: of.AllTables}, func(f *of.Flow) error {
			if looks := f.Match.MetadataMask&Aside != 0 || f.ReadsMetadata; looks && !IsOurs(f.Cookie) && p.err == nil {
				p.err = fmt.Errorf("%w: a flow of bridge %s (table %d, priority %d, cookie %#x) looks at bit 63 of the metadata, which rules need for themselves",
					eswitch.ErrNotSupported, b.name, f.Table, f.Priority, f.Cookie)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	p.last = time.Now()
	return p.err
}

// leavesOptions returns why rules cannot enter or leave tunnels at a bridge of which
// leavesAside was asked: its pipeline may look at options, which rules cannot.
func (b *bridge) leavesOptions() error {
	b.pipeline.mu.Lock()
	defer b.pipeline.mu.Unlock()
	if b.pipeline.maps {
		return fmt.Errorf("%w leave out the options of Geneve that bridge %s makes fields of", errCannot, b.name)
	}
	return nil
}
