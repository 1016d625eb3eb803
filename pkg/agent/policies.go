package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/pkg/policy"
	policydb "github.com/flowshunt/flowshunt/pkg/policy/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// policies follows the policy database, tells the engine what operators want, and the
// database what has become of it.
type policies struct {
	cfg       *Config
	inventory *ovsdb.Inventory
	loop      *loop
	health    *component
	node      func(context.Context) policydb.Node // what the agent says of itself, but for policies
	setWires  func([]wire.Spec)                   // those that there shall be
	wires     func() map[string]string            // how they are, by name
	owner     func(flows.LogicalPort) secgroup.Owner

	mu    sync.Mutex
	table *policy.Table     // as it was told; nil: nothing was
	ports []policy.Port     // all there are, of owners that are not known
	odd   map[string]string // ports whose wish is not understood, as in Node.Problems
	force *policy.Table     // what the engine was told last; nil: it has none of a database

	changed chan struct{}
}

// reported is what there is to say of the database that is followed.
type reported struct {
	problems atomic.Pointer[map[string]string] // nil: it was not read yet
	taken    atomic.Int64                      // News.NextCfg of what is in force
	left     atomic.Int64                      // sessions whose rules did not come out in time for that
}

// Policies says where the policy database is.
type Policies struct {
	// Remotes are its servers (client.ParseRemotes); "none": there is none. Empty: those that
	// Open vSwitch names (external_ids:flowshunt-remote), and none where it names none.
	Remotes string
	TLS     client.TLS // for ssl; what is empty is that of Open vSwitch's database
}

// noPolicies is the Remotes of an agent that shall have no policy database.
const noPolicies = "none"

// Validate says what is wrong with p, or nil.
func (p Policies) Validate() error {
	if p.Remotes == "" || p.Remotes == noPolicies {
		return nil
	}
	_, err := client.ParseRemotes(p.Remotes)
	return err
}

func newPolicies(a *Agent) *policies {
	return &policies{cfg: &a.cfg, inventory: a.inventory, health: a.part("policies"), node: a.node, changed: make(chan struct{}, 1)}
}

// remotes returns where the database is, by what Open vSwitch says; empty: nowhere.
func (p *policies) remotes(s *ovsdb.Snapshot) string {
	if p.cfg.Policies.Remotes == noPolicies {
		return ""
	}
	return cmp.Or(p.cfg.Policies.Remotes, s.Switch.ExternalIDs["flowshunt-remote"])
}

// choose returns how the database is followed.
func (p *policies) choose(s *ovsdb.Snapshot) policydb.Config {
	return policydb.Config{
		Remotes: p.remotes(s), SystemID: nameOf(s),
		TLS: p.cfg.Policies.TLS.Or(s.Switch.TLS),
	}
}

// nameOf is what this node is called.
func nameOf(s *ovsdb.Snapshot) string {
	host, _ := os.Hostname()
	return cmp.Or(s.Switch.SystemID, host)
}

// run follows the database that Open vSwitch's asks for at the time.
func (p *policies) run(ctx context.Context) error {
	changed, stop := p.inventory.Watch()
	defer stop()
	var now *policydb.Config
	end := func() {}
	defer func() { end() }()
	for {
		if s := p.inventory.Snapshot(); s.Synced {
			if cfg := p.choose(s); now == nil || *now != cfg {
				end()
				now, end = &cfg, p.begin(ctx, cfg)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// begin follows a database until it is ended. Where there is none, all elephants are
// offloaded.
func (p *policies) begin(ctx context.Context, cfg policydb.Config) (end func()) {
	if cfg.Remotes == "" {
		p.without()
		return func() {}
	}
	source, err := policydb.New(cfg)
	if err != nil {
		p.health.failed(err)
		return func() {}
	}
	about := &reported{}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		err := source.Run(ctx, func(n policydb.News) {
			if ctx.Err() == nil {
				p.tell(n, about)
			}
		})
		if ctx.Err() == nil {
			p.health.failed(errors.Join(errors.New("it has ended"), err))
		}
	})
	group.Go(func() { p.report(ctx, source, about) })
	return func() {
		cancel()
		group.Wait()
	}
}

// without tells the engine that no operator has policies.
func (p *policies) without() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.table, p.force = nil, nil
	p.loop.post(engine.PoliciesChanged{Policies: engine.Elephants(p.cfg.Engine.Elephant)})
	p.setWires(nil)
	p.health.ok()
}

// tell takes the news of a database. While it is away, what it said last stays in force.
func (p *policies) tell(n policydb.News, about *reported) {
	if n.Table != nil {
		problems := policydb.Problems(n.Problems, n.WireProblems)
		p.setWires(n.Wires)
		about.problems.Store(&problems)
		p.mu.Lock()
		p.table = n.Table
		p.enforce(func(left int) { p.took(about, n.NextCfg, left) })
		p.mu.Unlock()
	}
	if n.Err != nil {
		p.health.failed(n.Err)
	} else {
		p.health.ok()
	}
}

// setPorts takes all ports that there are. Of the engine it is told before they are, so that
// none is judged without its name.
func (p *policies) setPorts(list []portStatus) {
	ports := make([]policy.Port, len(list))
	for i := range list {
		ports[i] = policy.Port{ID: list[i].ID, Name: list[i].Name, IfaceID: list[i].iface}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.odd = odd(list)
	p.ports = ports
	p.enforce(nil)
}

// odd says which ports ask for what is neither on nor off.
func odd(list []portStatus) map[string]string {
	said := map[string]string{}
	for i := range list {
		if s := &list[i]; s.reason == flows.PortOff && s.detail != "" {
			said["port "+s.Name] = s.detail
		}
	}
	return said
}

// ownersChanged judges the ports anew whose owners are others than before.
func (p *policies) ownersChanged() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enforce(nil)
}

// owned returns the ports with what the network service says of them now.
func (p *policies) owned() []policy.Port {
	ports := slices.Clone(p.ports)
	for i := range ports {
		if id := ports[i].IfaceID; id != "" {
			o := p.owner(flows.LogicalPort(id))
			ports[i].Tenant, ports[i].SecurityGroups = policy.Names(o.Tenant), policy.Names(o.Groups)
		}
	}
	return ports
}

// enforce tells the engine what is in force from now on; settled is called when it is.
// p.mu is held.
func (p *policies) enforce(settled func(left int)) {
	if p.table == nil {
		return
	}
	next := p.table.WithPorts(p.owned())
	if settled == nil && p.force != nil && policy.Diff(p.force, next).IsEmpty() {
		return
	}
	p.loop.inbox.put(message{at: p.loop.clock.now(), event: changeOf(p.force, next), from: p.force, settled: settled})
	p.force = next
}

// took notes that all changes up to one are in force, but for the rules of some sessions.
func (p *policies) took(about *reported, nextCfg, left int) {
	about.taken.Store(int64(nextCfg))
	about.left.Store(int64(left))
	signal(p.changed)
}

// reportEvery is how often the agent says how it is, if nothing asks for that earlier.
const reportEvery = 5 * time.Second

// report keeps the agent's row in the database.
func (p *policies) report(ctx context.Context, source *policydb.Source, about *reported) {
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	for {
		if about.problems.Load() != nil {
			source.Report(p.self(ctx, about))
		}
		select {
		case <-p.changed:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// self is the agent's row.
func (p *policies) self(ctx context.Context, about *reported) policydb.Node {
	n := p.node(ctx)
	n.CurCfg = int(about.taken.Load())
	n.Problems, n.Wires = maps.Clone(*about.problems.Load()), p.wires()
	if left := about.left.Load(); left > 0 {
		n.Problems["rules"] = fmt.Sprintf("of %d connections that were to leave the eswitch rules were still there after %v", left, settleTime)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(n.Problems, p.odd)
	if p.force != nil {
		n.Policies = p.force.Len()
	}
	return n
}
