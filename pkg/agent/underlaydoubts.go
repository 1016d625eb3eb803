package agent

import (
	"context"
	"maps"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/underlay"
)

// underlaysEvery is how often the length that devices carry is looked at.
const underlaysEvery = 250 * time.Millisecond

// underlayDoubts doubts what goes through tunnels when the host may send it another way, or
// cannot send packets as long as before.
type underlayDoubts struct {
	changes *underlay.Watcher
	ports   *ports
	links   *link.Watcher
	doubts  *doubts
}

func (u *underlayDoubts) run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- u.changes.Run(ctx, func() { u.raise("routes") }) }()
	ticker := time.NewTicker(underlaysEvery)
	defer ticker.Stop()
	lengths := u.lengths()
	for {
		select {
		case <-ticker.C:
			if now := u.lengths(); !maps.Equal(now, lengths) {
				lengths = now
				u.raise("mtu")
			}
		case err := <-ended:
			return err
		}
	}
}

// lengths returns the MTU of each device by which a tunnel can leave the host: of those
// that are no port of a switch.
func (u *underlayDoubts) lengths() map[int32]int {
	mtu := make(map[int32]int)
	for index, l := range u.links.Snapshot() {
		if l.Master == 0 {
			mtu[index] = l.MTU
		}
	}
	return mtu
}

func (u *underlayDoubts) raise(source string) {
	if tunnels := u.ports.tunnels(); len(tunnels) > 0 {
		u.doubts.raise(source, engine.PathsDoubted{Ports: tunnels})
	}
}

// tunnels returns the ports that are devices of tunnels.
func (p *ports) tunnels() (ids []flows.PortID) {
	t := p.now.Load()
	if t == nil {
		return nil
	}
	for i := range t.list {
		if t.list[i].IsTunnel() {
			ids = append(ids, t.list[i].ID)
		}
	}
	return ids
}
