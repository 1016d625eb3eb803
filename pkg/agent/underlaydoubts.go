package agent

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/underlay"
)

// underlaysEvery bounds how often routes are looked at: each look asks the kernel for the
// route to every host of the overlay, and devices and routes can come and go all the time.
const underlaysEvery = 250 * time.Millisecond

// underlayDoubts doubts what goes through tunnels when the host sends it another way, or
// cannot send packets as long as before.
type underlayDoubts struct {
	changes *underlay.Watcher
	routes  interface{ Changed() bool }
	ports   *ports
	doubts  *doubts
}

func (u *underlayDoubts) run(ctx context.Context) error {
	told := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() { ended <- u.changes.Run(ctx, func() { signal(told) }) }()
	for {
		select {
		case <-told:
		case err := <-ended:
			return err
		}
		u.look()
		pause(ctx, underlaysEvery)
	}
}

func (u *underlayDoubts) look() {
	if !u.routes.Changed() {
		return
	}
	if tunnels := u.ports.tunnels(); len(tunnels) > 0 {
		u.doubts.raise("underlay", engine.PathsDoubted{Ports: tunnels})
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
