package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	ofswitch "github.com/flowshunt/flowshunt/pkg/eswitch/openflow"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// monitorsEvery is how often it is looked whether the bridges are those that are
// watched, and whether paths are due to be confirmed.
const monitorsEvery = 250 * time.Millisecond

// connectTime is how long a bridge may not be watched before somebody is told: one that
// was just made has its socket a moment later.
const connectTime = 3 * time.Second

// monitors watches the OpenFlow tables of all bridges.
type monitors struct {
	rundir  string
	bridges func() []bridgeFacts
	doubts  *doubts
	counter interface{ soon() }
	health  *component
	confirm time.Duration // between two confirmations of all paths
	grace   time.Duration // how long OVS may not answer

	running   map[string]*bridgeMonitor
	confirmed time.Time
	blinded   time.Time // when those were doubted that tell no changes
}

func (m *monitors) run(ctx context.Context) error {
	m.running = make(map[string]*bridgeMonitor)
	m.confirmed = time.Now()
	defer func() { m.follow(ctx, nil) }()
	for ctx.Err() == nil {
		m.follow(ctx, m.bridges())
		m.look()
		pause(ctx, monitorsEvery)
	}
	return nil
}

// follow starts and ends what watches a bridge, so that there is one for each.
func (m *monitors) follow(ctx context.Context, bridges []bridgeFacts) {
	wanted := make(map[string]bool, len(bridges))
	for _, b := range bridges {
		wanted[b.name] = true
		if m.running[b.name] == nil {
			m.running[b.name] = m.start(ctx, b.name)
		}
	}
	for name, b := range m.running {
		if !wanted[name] {
			b.stop()
			delete(m.running, name)
		}
	}
}

func (m *monitors) start(ctx context.Context, bridge string) *bridgeMonitor {
	ctx, cancel := context.WithCancel(ctx)
	w := &bridgeMonitor{name: bridge, bridges: m.bridges, doubts: m.doubts, counter: m.counter, since: time.Now(), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		_ = openflow.Follow(ctx, openflow.Config{Socket: openflow.SocketPath(m.rundir, bridge)}, w)
	}()
	return w
}

// look raises the doubts that no event tells: of all paths now and then, of those of
// bridges that do not tell their changes each second, and, when OVS has been silent
// for too long, of those that it cannot confirm any more.
func (m *monitors) look() {
	due := time.Since(m.confirmed) >= m.confirm
	blindly := time.Since(m.blinded) >= time.Second
	var ports, blind [][]flows.PortID
	var errs []error
	for _, facts := range m.bridges() {
		b := m.running[facts.name]
		if b == nil {
			continue // for a moment
		}
		watching, since, err := b.get()
		switch {
		case watching:
			ports = append(ports, facts.ports)
			continue
		case err != nil && time.Since(since) > connectTime:
			errs = append(errs, fmt.Errorf("bridge %s: %w", facts.name, err))
		}
		if !away(err) || time.Since(since) > m.grace {
			blind = append(blind, facts.ports)
		}
	}
	if len(errs) > 0 {
		m.health.failed(errors.Join(errs...))
	} else {
		m.health.ok()
	}
	switch {
	case due:
		m.raise("interval", m.confirm, append(ports, blind...))
	case blindly:
		m.raise("no-monitor", 0, blind)
	}
	if due {
		m.confirmed = time.Now()
	}
	if due || blindly {
		m.blinded = time.Now()
	}
}

// away reports whether OVS may be away, or hang, where a bridge is not watched: then it
// does not take changes either. In all other cases it may change and we do not hear of it.
func away(err error) bool {
	return err == nil || errors.Is(err, openflow.ErrNotRunning) || errors.Is(err, openflow.ErrClosed) ||
		errors.Is(err, openflow.ErrSilent)
}

func (m *monitors) raise(source string, within time.Duration, lists [][]flows.PortID) {
	if ports := mergePorts(lists...); len(ports) > 0 {
		m.doubts.raise(source, engine.PathsDoubted{Ports: ports, Within: within})
	}
}

// bridgeMonitor turns changes of one bridge into doubts.
type bridgeMonitor struct {
	name    string
	bridges func() []bridgeFacts
	doubts  *doubts
	counter interface{ soon() } // nil: no rule is a flow
	cancel  context.CancelFunc
	ended   chan struct{}

	mu       sync.Mutex
	watching bool
	since    time.Time // of watching, or of not
	err      error     // why not
}

func (b *bridgeMonitor) stop() {
	b.cancel()
	<-b.ended
}

// facts returns what is known of the bridge now: the engine may have had sessions on a
// new port, or on one that has another id since it was changed, for longer than the
// monitors were looked at.
func (b *bridgeMonitor) facts() bridgeFacts {
	for _, facts := range b.bridges() {
		if facts.name == b.name {
			return facts
		}
	}
	return bridgeFacts{name: b.name}
}

func (b *bridgeMonitor) get() (watching bool, since time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.watching, b.since, b.err
}

// Watching implements openflow.Handler: what happened before is not known.
func (b *bridgeMonitor) Watching(openflow.Version) {
	b.mu.Lock()
	b.watching, b.since, b.err = true, time.Now(), nil
	b.mu.Unlock()
	b.doubts.raise("openflow-connected", engine.PathsDoubted{Ports: b.facts().ports})
}

// Lost implements openflow.Handler.
func (b *bridgeMonitor) Lost(reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watching {
		b.watching, b.since = false, time.Now()
	}
	b.err = reason
}

// Changed implements openflow.Handler.
func (b *bridgeMonitor) Changed(changes []openflow.Change) {
	b.rulesDeleted(changes)
	facts := b.facts()
	ev, touching := doubtOf(facts, changes)
	if touching && len(facts.ports) > 0 {
		b.doubts.raise("openflow", ev)
	}
}

// rulesDeleted has the rules looked at at once where one was deleted: by us, which is
// soon seen, by others, or because its time was over.
func (b *bridgeMonitor) rulesDeleted(changes []openflow.Change) {
	for i := range changes {
		if changes[i].Kind == openflow.FlowDeleted && ofswitch.IsOurs(changes[i].Cookie) && b.counter != nil {
			b.counter.soon()
			return
		}
	}
}

// doubtOf returns what changes of a bridge may concern, or false where that is nothing.
// Groups and meters are passed over: no session has a path through one.
func doubtOf(facts bridgeFacts, changes []openflow.Change) (ev engine.PathsDoubted, touching bool) {
	ev.Ports = facts.ports
	ev.Matches = []flows.PacketMatch{}
	for _, c := range changes {
		switch c.Kind {
		case openflow.GroupChanged, openflow.MeterChanged:
			continue
		case openflow.FlowAdded, openflow.FlowDeleted, openflow.FlowModified:
			if c.NonIP || ofswitch.IsOurs(c.Cookie) {
				continue
			}
			touching = true
			m := c.Match
			m.In = facts.byPort[c.InPort] // 0, any, where it is no device's
			if ev.Matches != nil {
				ev.Matches = append(ev.Matches, m)
			}
		default:
			touching = true
			ev.Matches = nil
		}
	}
	if len(ev.Matches) > maxMatches {
		ev.Matches = nil
	}
	return ev, touching
}
