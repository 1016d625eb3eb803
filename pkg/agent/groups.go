package agent

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/metrics"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// groups follows what security groups permit, from all sources that are configured, and
// tells the engine.
type groups struct {
	cfg     *Config
	sources []*groupSource // in the order of engine.PermissionsChanged.Source
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

	// owners is called when the ports have other owners than before.
	owners func()

	compiler *secgroup.Compiler
	now      atomic.Pointer[groupsNow]
}

// groupsNow is what a source has told, for those who look on. It is never changed.
type groupsNow struct {
	table     *secgroup.Table // nil: nothing yet
	changes   uint64
	compiling time.Duration
	stale     time.Time // since when it may be behind; zero: it is not
	why       string    // it is
}

// opening is a way to open a source. Two with equal keys open the same one.
type opening struct {
	key  any
	open func() (secgroup.Source, error)
}

// errNoOVN says that auto has found no OVN.
var errNoOVN = errors.New("no Southbound database is named by Open vSwitch (external_ids:ovn-remote): with another source of security groups say so (--security-groups), or let OVS's flows stand for them (--trust-ovs)")

func newGroups(a *Agent) *groups {
	g := &groups{cfg: &a.cfg}
	add := func(name string, ovn bool, choose func(*ovsdb.Snapshot) (opening, error)) {
		src := &groupSource{
			name: name, index: len(g.sources), ovn: ovn, inventory: a.inventory, choose: choose,
			compiler: secgroup.NewCompiler(), health: newComponent("security-groups/"+name, a.log),
		}
		src.now.Store(&groupsNow{stale: time.Now(), why: "not read yet"})
		g.sources = append(g.sources, src)
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
	return cmp.Or(g.cfg.Groups.Southbound, s.Switch.OVNRemote)
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
	name := cmp.Or(s.Switch.OVNBridge, "br-int")
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
			events = append(events, engine.PermissionsEnforced{Source: src.index, Revision: revision})
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
				if end, key = src.begin(ctx, how), how.key; end == nil {
					end, key = func() {}, nil // to be tried again
				}
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// begin follows a source until it is ended; nil: it cannot be opened.
func (src *groupSource) begin(ctx context.Context, how opening) (end func()) {
	source, err := how.open()
	if err != nil {
		src.lost(err)
		return nil
	}
	src.stale("not read yet")
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := source.Run(ctx, func(n secgroup.News) {
			if ctx.Err() == nil { // else that it ended is no news
				src.tell(n)
			}
		})
		if ctx.Err() == nil {
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
	now := *src.now.Load()
	owners := false
	ev := engine.PermissionsChanged{Source: src.index, Permissions: now.table, Revision: n.Revision, Label: n.Label}
	if n.Update != nil {
		began := time.Now()
		ev.At = src.loop.clock.now()
		table, change := src.compiler.Apply(n.Update)
		ev.Permissions, ev.Ports, ev.Rules, ev.Addrs = table, change.Ports, change.Rules, change.Addrs
		owners = change.Owners
		now.table, now.changes, now.compiling = table, now.changes+1, now.compiling+time.Since(began)
	}
	if now.table != nil && (n.Update != nil || n.Err == nil) {
		src.loop.post(ev)
		now.stale, now.why = time.Time{}, ""
		src.now.Store(&now)
	}
	if owners {
		src.owners()
	}
	if n.Err != nil {
		src.lost(n.Err)
	} else if now.table != nil {
		src.health.ok()
	}
}

// standing says why a source is against everything on a port; empty: it is not.
func (src *groupSource) standing(port flows.LogicalPort) (flows.Reason, string) {
	now := src.now.Load()
	if !now.stale.IsZero() { // as before anything was told
		return flows.SGUnknown, src.name + ": " + now.why
	}
	return now.table.Standing(port)
}

// standing is that of all sources.
func (g *groups) standing(port flows.LogicalPort) (reason flows.Reason, detail string) {
	for _, src := range g.sources {
		if reason, detail = src.standing(port); reason != "" {
			return reason, detail
		}
	}
	return "", ""
}

// owner says whose a port is, by the word of the source that knows most of it: of two that
// know as much, that of the later one, as the Northbound database is ahead of the
// Southbound one. What a source has said last counts for as long as what it permits.
func (g *groups) owner(port flows.LogicalPort) (o secgroup.Owner) {
	for _, src := range g.sources {
		if t := src.now.Load().table; t != nil {
			told := t.Owner(port)
			o.Tenant, o.Groups = wiser(o.Tenant, told.Tenant), wiser(o.Groups, told.Groups)
		}
	}
	return o
}

// wiser returns b, unless a knows more.
func wiser(a, b secgroup.Names) secgroup.Names {
	if a.Named && !b.Named || a.IDs && !b.IDs {
		return a
	}
	return b
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
	now := *src.now.Load()
	if now.why = why; now.stale.IsZero() {
		now.stale = time.Now()
	}
	src.now.Store(&now)
	src.loop.post(engine.PermissionsStale{Source: src.index, Why: why})
}

func (g *groups) metrics() []metrics.Groups {
	list := make([]metrics.Groups, len(g.sources))
	for i, src := range g.sources {
		now := src.now.Load()
		p := &list[i]
		*p = metrics.Groups{Source: src.name, Changes: now.changes, Compiling: now.compiling}
		if now.table != nil {
			size := now.table.Size()
			p.Ports, p.Rules, p.Members = size.Ports, size.Rules, size.Members
		}
		if !now.stale.IsZero() {
			p.Stale = time.Since(now.stale)
		}
	}
	return list
}
