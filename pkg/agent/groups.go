package agent

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// groups follows what security groups permit, from all sources that are configured, and
// tells the engine.
type groups struct {
	cfg     *Config
	sources []*groupSource // in the order of engine.PolicyChanged.Source
}

// groupSource is one of them.
type groupSource struct {
	name      string
	index     int
	ovn       bool // it counts its states as OVN does, and says which are enforced
	inventory *ovsdb.Inventory
	loop      *loop
	health    *component

	// choose returns how to open the source, by what Open vSwitch's database says, and an
	// error where it cannot be.
	choose func(*ovsdb.Snapshot) (opening, error)

	compiler *secgroup.Compiler
	table    *secgroup.Table
}

// opening is a way to open a source. Two with equal keys open the same one.
type opening struct {
	key  any
	open func() (secgroup.Source, error)
}

// errNoOVN says that auto has found no OVN.
var errNoOVN = errors.New("Open vSwitch names no Southbound database (external_ids:ovn-remote): with another source of security groups say so (--security-groups), or let OVS's flows stand for them (--trust-ovs)")

func newGroups(a *Agent) *groups {
	g := &groups{cfg: &a.cfg}
	add := func(name string, ovn bool, choose func(*ovsdb.Snapshot) (opening, error)) {
		g.sources = append(g.sources, &groupSource{
			name: name, index: len(g.sources), ovn: ovn, inventory: a.inventory, choose: choose,
			compiler: secgroup.NewCompiler(), health: newComponent("security-groups/"+name, a.log),
		})
	}
	for _, kind := range a.cfg.Groups.Kinds {
		switch kind {
		case GroupsFile:
			add("file", false, g.chooseFile)
		default:
			add("ovn-sb", true, g.chooseSouthbound)
			if a.cfg.Groups.Northbound != "" {
				add("ovn-nb", true, g.chooseNorthbound)
			}
		}
	}
	return g
}

// asked reports whether there is anybody to ask what security groups permit.
func (g *groups) asked(s *ovsdb.Snapshot) bool {
	for _, kind := range g.cfg.Groups.Kinds {
		if kind != GroupsAuto || g.southbound(s) != "" {
			return true
		}
	}
	return false
}

func (g *groups) southbound(s *ovsdb.Snapshot) string {
	return cmp.Or(g.cfg.Groups.Southbound, s.Switch.ExternalIDs["ovn-remote"])
}

// guard returns the logical port that a port is for the engine, or why it may not be used.
func (g *groups) guard(s *ovsdb.Snapshot, p *ovsdb.Port) (logical flows.LogicalPort, reason flows.Reason, detail string) {
	switch {
	case p.IfaceID == "":
		return "", "", ""
	case !g.asked(s) && g.cfg.TrustOVS:
		return "", "", ""
	case !g.asked(s):
		return "", flows.SGUnknown, "iface-id " + p.IfaceID + ": " + errNoOVN.Error()
	case g.cfg.Groups.AsksOVN() && !p.OVNInstalled:
		return "", flows.PortUnbound, "iface-id " + p.IfaceID + ": ovn-controller has not installed its flows for it (external_ids:ovn-installed)"
	}
	return flows.LogicalPort(p.IfaceID), "", ""
}

// enforced tells which states of OVN the flows of the integration bridge have.
func (g *groups) enforced(s *ovsdb.Snapshot) (events []engine.Event) {
	name := cmp.Or(s.Switch.ExternalIDs["ovn-bridge"], "br-int")
	i := slices.IndexFunc(s.Bridges, func(b ovsdb.Bridge) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	revision, err := strconv.ParseUint(s.Bridges[i].ExternalIDs["ovn-nb-cfg"], 10, 64)
	if err != nil {
		return nil // nobody has asked for one yet
	}
	for _, src := range g.sources {
		if src.ovn {
			events = append(events, engine.PolicyEnforced{Source: src.index, Revision: revision})
		}
	}
	return events
}

func (g *groups) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, src := range g.sources {
		group.Go(func() error { return src.run(ctx) })
	}
	return group.Wait()
}

// run keeps the source open that Open vSwitch's database asks for at the time.
func (src *groupSource) run(ctx context.Context) error {
	changed, stop := src.inventory.Watch()
	defer stop()
	var key any
	end := func() {}
	defer func() { end() }()
	for {
		if s := src.inventory.Snapshot(); s.Synced {
			how, err := src.choose(s)
			switch {
			case err != nil:
				end()
				end, key = func() {}, nil
				src.lost(err)
			case how.key != key:
				end()
				end, key = src.begin(ctx, how), how.key
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// begin follows a source until it is ended.
func (src *groupSource) begin(ctx context.Context, how opening) (end func()) {
	source, err := how.open()
	if err != nil {
		src.lost(err)
		return func() {}
	}
	src.stale("not read yet")
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := source.Run(ctx, src.tell); ctx.Err() == nil {
			src.lost(errors.Join(errors.New("it has ended"), err))
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// tell takes the news of a source.
func (src *groupSource) tell(n secgroup.News) {
	at := src.loop.clock.now()
	if n.Update != nil {
		table, change := src.compiler.Apply(n.Update)
		src.table = table
		src.loop.post(engine.PolicyChanged{
			Source: src.index, Policy: table, At: at, Revision: n.Revision, Label: n.Label,
			All: change.All, Ports: change.Ports, Rules: change.Rules, Addrs: change.Addrs,
		})
	}
	switch {
	case n.Err != nil:
		src.lost(n.Err)
	case n.Update == nil && src.table != nil:
		src.loop.post(engine.PolicyChanged{Source: src.index, Policy: src.table, Revision: n.Revision, Label: n.Label})
		src.health.ok()
	case src.table != nil:
		src.health.ok()
	}
}

// lost says that the source does not tell what is so.
func (src *groupSource) lost(err error) {
	src.stale(err.Error())
	if !errors.Is(err, errNoOVN) { // with --trust-ovs, or without guarded ports, nothing is missing
		src.health.failed(err)
		return
	}
	src.health.ok()
}

func (src *groupSource) stale(why string) {
	src.loop.post(engine.PolicyStale{Source: src.index, Why: src.name + ": " + why})
}

// host is what the network service calls this host.
func (g *groups) host() (string, error) {
	if g.cfg.Groups.Host != "" {
		return g.cfg.Groups.Host, nil
	}
	return os.Hostname()
}
