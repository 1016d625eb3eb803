package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/devlink"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/path"
	"github.com/flowshunt/flowshunt/pkg/representor"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// retryPorts is how often ports that could not be prepared, and a database that is
// away, are looked at again.
const retryPorts = 2 * time.Second

// ports joins what OVSDB says of ports with what the kernel says of their devices,
// and tells the engine, the resolver, the taps and the eswitch.
type ports struct {
	cfg       *Config
	inventory *ovsdb.Inventory
	groups    *groups
	policies  *policies
	links     *link.Watcher
	devices   *devlink.Watcher
	resets    *resets
	paths     *path.Resolver
	judge     interface{ SetPorts(*path.Ports) }
	taps      *taps
	doubts    *doubts
	rows      rowDoubts
	eswitch   interface {
		PreparePort(ctx context.Context, link int32) error
		ReleasePort(ctx context.Context, link int32) error
	}
	// probe asks, at a prepared port, whether the kernel can execute rules at all;
	// nil: it can.
	probe func(ctx context.Context, link int32) error
	// assign says whether the rules of a port are flows of its bridge; nil: none can be.
	assign func(link int32, flows bool)
	// announce makes OVS look at a device again.
	announce func(link int32) error
	loop     *loop
	health   *component
	again    chan struct{} // a value asks for an update

	flowerless bool // the kernel has no cls_flower: rules are flows of bridges on its datapath, too

	search   search
	ids      identities
	prepared map[int32]bool // ports with what is ours; true: released once
	// inherited are the devices on which an earlier agent left something.
	inherited chan []int32
	wires     atomic.Pointer[[]wire.Status] // of the policy database; never changed
	telling   sync.Mutex                    // around what the engine is told of ports, and now
	now       atomic.Pointer[portTable]
	told      atomic.Bool // the engine was told of the first one
}

// portTable is what is known of the ports at one moment. It is never changed.
type portTable struct {
	list    []portStatus
	byID    map[flows.PortID]portStatus
	bridges []bridgeFacts
	forced  flows.Reason // why observe is forced
}

// portStatus is a port with why it cannot be used, if so.
type portStatus struct {
	path.Port
	hardware hardware
	iface    string             // external_ids:iface-id
	logical  flows.LogicalPort  // whose security groups are asked; empty: none are
	zone     ovsdb.OptionalZone // in which OVN tracks its connections
	reason   flows.Reason
	detail   string
	tunnel   ovsdb.Tunnel
	underlay bool // packets in tunnels of the userspace datapath come in here
}

func (p *ports) run(ctx context.Context) error {
	changed, stop := p.inventory.Watch()
	defer stop()
	retry := time.NewTicker(retryPorts)
	defer retry.Stop()
	for {
		select {
		case <-changed:
		case <-p.links.Changed():
		case <-p.devices.Changed():
			p.links.Refresh() // a device's place in an eswitch may come without a word of its own
			p.search = search{}
		case <-p.again:
		case left := <-p.inherited:
			p.inherit(left)
		case <-retry.C:
			p.refresh()
		case <-ctx.Done():
			return nil
		}
		if err := p.update(ctx); err != nil {
			return err
		}
	}
}

// refresh has devices looked at again while one that should be a representor is none.
func (p *ports) refresh() {
	if t := p.now.Load(); t != nil && p.search.due(t, p.links.Snapshot()) {
		p.devices.Refresh()
		p.links.Refresh()
	}
}

// soon asks for an update: what was prepared may be gone.
func (p *ports) soon() { signal(p.again) }

// update reads everything again: changes only wake. An error is one that no retry
// can mend.
func (p *ports) update(ctx context.Context) error {
	snapshot := p.inventory.Snapshot()
	p.checkDatabase(snapshot)
	links := p.links.Snapshot()
	reps := representor.Find(links, p.devices.Snapshot(), "")
	p.resets.learn(reps)
	table := p.table(snapshot, links, reps)
	keep := p.prepare(ctx, table)
	if err := p.probeOnce(ctx, table, keep); errors.Is(err, errFlowerless) {
		return p.update(ctx)
	} else if err != nil {
		return err
	}
	p.publish(table)
	p.loop.post(p.groups.enforced(snapshot)...)
	p.doubts.hold(snapshot.Switch.FlowRestoreWait)
	p.rows.compare(snapshot, table.bridges)
	p.release(ctx, keep)
	return nil
}

// probeOnce asks for the kernel's features at the first port that is ready for rules.
func (p *ports) probeOnce(ctx context.Context, t *portTable, keep map[int32]bool) error {
	for i := range t.list {
		if p.probe == nil {
			return nil
		}
		if link := t.list[i].Ifindex; t.list[i].reason == "" && keep[link] && !t.list[i].AsFlows {
			err := p.probe(ctx, link)
			if errors.Is(err, eswitch.ErrNotSupported) && p.assign != nil {
				p.flowerless, p.probe = true, nil
				p.health.note(fmt.Errorf("rules become flows of the bridges: %w", err))
				return errFlowerless
			}
			if errors.Is(err, eswitch.ErrNotSupported) {
				return fmt.Errorf("eswitch: %w; load the modules or stay with --mode=observe", err)
			}
			if err == nil {
				p.probe = nil
			}
		}
	}
	return nil
}

// publish tells everybody.
func (p *ports) publish(table *portTable) {
	p.telling.Lock()
	defer p.telling.Unlock()
	table, _ = table.shut(shutEnds(p.wired(), never)) // since it was made
	known := make([]path.Port, len(table.list))
	for i, s := range table.list {
		known[i] = s.Port
	}
	p.now.Store(table)
	ports := path.NewPorts(known)
	p.judge.SetPorts(ports)
	p.paths.SetPorts(ports)
	p.taps.set(table.list)
	p.policies.setPorts(table.list)
	p.loop.post(
		engine.ModeChanged{Enforce: p.cfg.Engine.Enforce && table.forced == "", Reason: table.forced},
		engine.PortsChanged{Ports: table.states()},
	)
	p.told.Store(true)
}

func (p *ports) checkDatabase(s *ovsdb.Snapshot) {
	switch {
	case s.Connected:
		p.health.ok()
	case s.Err != nil:
		p.health.failed(s.Err)
	}
}

func (p *ports) table(s *ovsdb.Snapshot, links map[int32]link.State, reps *representor.Set) *portTable {
	t := &portTable{byID: make(map[flows.PortID]portStatus)}
	switch {
	case s.Switch.HWOffload && !hasUserspace(s):
		t.forced = flows.OVSHWOffload
	case !s.Connected && time.Since(s.Since) > p.cfg.OVSGrace:
		t.forced = flows.OVSDBLost
	}
	p.ids.begin()
	rows := devices(s, links)
	links, refused := userspaceTunnels(rows, links)
	underlays := underlayBridges(rows)
	bonds := bondsOf(rows)
	shut := shutEnds(p.wired(), downIn(rows, links))
	for i := range rows {
		row := &rows[i]
		dev := links[row.Ifindex]
		port := portOf(row, dev.Up())
		port.MTU, port.Closed = mtuOf(row.Type, dev), shut[port.Name]
		if dev.Name != port.Name {
			port.Ifindex = 0 // the database is behind: the index is of another device by now, or of none
		}
		port.ID = p.ids.of(row.ID, dev.Life, port, bonds[bondKey{port.Bridge, port.Bond}])
		status := portStatus{Port: port, hardware: p.hardwareOf(reps, row, &port, links)}
		p.chooseExecutor(s, &status)
		status.NotInHW = p.cfg.requiresHW() && (status.AsFlows || status.hardware.eswitch == "")
		switch status.reason = path.Usable(status.Port, p.cfg.Selected); {
		case status.reason == flows.PortNotInHW:
			status.detail = reps.Refuse(port.Ifindex)
		case status.reason == flows.PortOff:
			status.detail = notAWish(row)
		case status.reason == flows.BridgeOwned:
			status.detail = status.Owner
		case refused[row.ID] != "" && status.reason == flows.PortGone:
			status.reason, status.detail = flows.UnsupportedTunnel, refused[row.ID]
		case status.reason == "" && s.Switch.HWOffload && t.forced == "" && !status.AsFlows:
			status.reason = flows.OVSHWOffload
		}
		logical, reason, detail := p.groups.guard(s, row)
		if status.logical = logical; status.reason == "" {
			status.reason, status.detail = reason, detail
		}
		status.zone, status.iface = row.OVNZone, row.IfaceID
		status.tunnel = row.Tunnel
		status.underlay = status.Datapath == userspace && underlays[status.Bridge]
		t.list = append(t.list, status)
	}
	p.ids.end()
	t.bridges = bridgesOf(s, t.list)
	return t
}

// downIn says of ports whether they have a device without a link.
func downIn(rows []ovsdb.Port, links map[int32]link.State) func(string) bool {
	down := make(map[string]bool)
	for i := range rows {
		if dev, there := links[rows[i].Ifindex]; there && dev.Name == rows[i].Name && !dev.Up() {
			down[rows[i].Name] = true
		}
	}
	return func(port string) bool { return down[port] }
}

// prepare makes usable ports ready for rules, which completes the table, and
// returns those that what is ours may stay on: usable, or unusable but for a while.
// Where nothing may be installed, that is none: OVS cannot take a port over that has
// our qdisc.
func (p *ports) prepare(ctx context.Context, t *portTable) (keep map[int32]bool) {
	keep = make(map[int32]bool)
	enforce := p.cfg.Engine.Enforce && t.forced == ""
	for i := range t.list {
		s := &t.list[i]
		if enforce && s.reason == "" {
			if p.assign != nil {
				p.assign(s.Ifindex, s.AsFlows)
			}
			if err := p.eswitch.PreparePort(ctx, s.Ifindex); err != nil {
				s.reason, s.detail = flows.PortUnready, err.Error()
				if errors.Is(err, eswitch.ErrPortGone) {
					s.reason = flows.PortGone
				}
			}
		}
		if enforce && (s.reason == "" || s.reason == flows.PortDown || s.reason == flows.InspectorDown) {
			keep[s.Ifindex] = true
		}
		t.byID[s.ID] = *s
	}
	return keep
}

// inherit takes it that what is ours stands on devices: where it is not to be kept it
// goes. A curtain hides filters of others, and is nobody's session.
func (p *ports) inherit(left []int32) {
	if p.prepared == nil {
		p.prepared = make(map[int32]bool, len(left))
	}
	for _, ifindex := range left {
		p.prepared[ifindex] = false
	}
}

// release takes what is ours from ports that are not to be kept, after everybody
// was told that they cannot be used. An installation that was under way then may
// come after it, so each is released once more the next time; and as long as that
// fails.
func (p *ports) release(ctx context.Context, keep map[int32]bool) {
	next := make(map[int32]bool, len(keep))
	for ifindex := range keep {
		next[ifindex] = false
	}
	for ifindex, released := range p.prepared {
		if keep[ifindex] {
			continue
		}
		err := p.eswitch.ReleasePort(ctx, ifindex)
		if err == nil && p.policed(ifindex) {
			err = p.announce(ifindex)
		}
		if err != nil {
			p.health.note(err)
		}
		if err != nil || !released {
			next[ifindex] = err == nil
		}
	}
	p.prepared = next
}

// policed reports whether OVS shall police the port. It cannot while our qdisc is in
// the place of its own: it has tried, most likely, when the rate was configured, and
// does not try again before it hears of a change of the device.
func (p *ports) policed(link int32) bool {
	t := p.now.Load()
	return t != nil && slices.ContainsFunc(t.list, func(s portStatus) bool { return s.Ifindex == link && s.QoS })
}

// places returns the devices at which packets come in that enter at a port, with those
// of other members of its bond that are used, and the one by which they leave there. It
// is false for a port that cannot be used.
func (p *ports) places(id flows.PortID) (in []int32, out int32, ok bool) {
	return p.now.Load().places(id)
}

func (t *portTable) places(id flows.PortID) (in []int32, out int32, ok bool) {
	if t == nil {
		return nil, 0, false
	}
	s, ok := t.byID[id]
	if !ok || s.reason != "" {
		return nil, 0, false
	}
	in = []int32{s.Ifindex}
	if s.Bond == "" {
		return in, s.Ifindex, true
	}
	for i := range t.list {
		other := &t.list[i]
		if other.ID != id && other.Bond == s.Bond && other.Bridge == s.Bridge && t.byID[other.ID].reason == "" {
			in = append(in, other.Ifindex)
		}
	}
	return in, s.Ifindex, true
}

// bridges returns the bridges on the kernel's datapath.
func (p *ports) bridges() []bridgeFacts {
	if t := p.now.Load(); t != nil {
		return t.bridges
	}
	return nil
}

// name returns the name of a port, "" for none.
func (p *ports) name(id flows.PortID) string {
	if t := p.now.Load(); t != nil {
		return t.byID[id].Name
	}
	return ""
}

// notAWish says that external_ids:flowshunt of a port is neither on nor off, if so.
func notAWish(row *ovsdb.Port) string {
	i := slices.IndexFunc(row.Problems, func(p string) bool { return strings.HasPrefix(p, "external_ids:flowshunt:") })
	if i < 0 {
		return ""
	}
	return row.Problems[i]
}

// portOf flattens a row for the resolver.
func portOf(row *ovsdb.Port, up bool) path.Port {
	port := path.Port{
		Name: row.Name, Bridge: row.Bridge, Datapath: row.DatapathType, Type: row.Type,
		Ofport: row.OFPort, Ifindex: row.Ifindex, AttachedMAC: row.AttachedMAC,
		Up: up, Optout: row.Wish == ovsdb.WishOff, Chosen: row.Wish == ovsdb.WishOn,
		QoS:      row.Policing.Active() || row.QoS != "",
		Mirrored: row.Mirror.Watched() || row.Sampling.Active(),
	}
	if row.VLAN.Mode == "access" {
		port.Tag = row.VLAN.Tag
	}
	if row.Bond.Members > 1 {
		port.Bond, port.BondMode = row.PortName, cmp.Or(row.Bond.Mode, "active-backup")
	}
	return port
}
