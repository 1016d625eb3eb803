package agent

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/path"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// sampleOne of so many packets is looked at where evidence for a path is missing:
// an elephant shows itself within milliseconds, and a port at full rate costs little.
const sampleOne = 16

// taps watches the ports that can be used: for FIN and RST, which are hints to
// read conntrack, and for evidence about paths.
type taps struct {
	taps   *tap.Taps
	paths  *path.Resolver
	user   *userspaceConns
	loop   *loop
	health *component
	wake   chan struct{}

	counted atomic.Pointer[map[flows.PortID]bool] // always, never changed
	tunnels atomic.Pointer[portTunnels]           // never changed
	own     ownAddresses

	mu     sync.Mutex
	ports  []tap.Port
	always map[flows.PortID]bool // sampled always: of the userspace datapath, which counts no connections
	closed bool                  // for good: the ports may be set once more after that
}

func newTaps(paths *path.Resolver, user *userspaceConns, l *loop, health *component) *taps {
	t := &taps{paths: paths, user: user, loop: l, health: health, wake: make(chan struct{}, 1)}
	t.taps = tap.New(tap.Config{Now: l.clock.now, Sighted: t.sighted})
	return t
}

func (t *taps) sighted(s tap.Sighting) {
	if !s.Tunnel.IsZero() {
		if tunnels := t.tunnels.Load(); tunnels == nil || !t.own.has(s.Tunnel.Value().Dst) || !tunnels.arrival(&s) {
			return
		}
	}
	t.paths.Sighted(s)
	if counted := t.counted.Load(); counted != nil && (*counted)[s.Port] {
		t.user.sighted(&s)
	}
	if s.TCPFlags&(tap.FIN|tap.RST) != 0 {
		t.loop.hint(engine.Hint{Tuple: s.Tuple})
	}
}

// set says which ports there are. All that have a network device are watched, also
// those that must not be offloaded: a packet there is what shows that a tuple is not
// as unambiguous as it looks.
func (t *taps) set(list []portStatus) {
	ports := make([]tap.Port, 0, len(list))
	always := make(map[flows.PortID]bool)
	for _, p := range list {
		if p.IsTunnel() && p.Datapath == userspace {
			always[p.ID] = true // its packets are seen at the ports of the underlay
			continue
		}
		if p.Ifindex > 0 && (p.Type == "" || p.Type == "system" || p.IsTunnel()) && (p.Datapath == "system" || p.Datapath == userspace) {
			ports = append(ports, tap.Port{ID: p.ID, Ifindex: p.Ifindex, Inside: p.underlay})
			always[p.ID] = p.Datapath == userspace
		}
	}
	t.mu.Lock()
	t.ports, t.always = ports, always
	t.counted.Store(&always)
	tunnels := tunnelsOf(list)
	t.tunnels.Store(&tunnels)
	t.mu.Unlock()
	t.apply()
}

// want is called when evidence is missing.
func (t *taps) want() {
	signal(t.wake)
}

// run switches sampling on while it is wanted, and off after that.
func (t *taps) run(ctx context.Context) error {
	defer t.close()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-t.wake:
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		t.apply()
	}
}

func (t *taps) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.taps.Close()
}

func (t *taps) apply() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	wanted := make(map[flows.PortID]bool)
	for _, p := range t.paths.Sampling(t.loop.clock.now()) {
		wanted[p.ID] = true
	}
	for i := range t.ports {
		t.ports[i].Sample = 0
		if wanted[t.ports[i].ID] || t.always[t.ports[i].ID] {
			t.ports[i].Sample = sampleOne
		}
	}
	var err error
	if tunnels := t.tunnels.Load(); tunnels != nil && len(*tunnels) > 0 {
		err = t.own.refresh()
	}
	t.health.outcome(errors.Join(err, t.taps.Set(t.ports)))
}
