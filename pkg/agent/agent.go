package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/devlink"
	"github.com/flowshunt/flowshunt/pkg/dpctl"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	ofswitch "github.com/flowshunt/flowshunt/pkg/eswitch/openflow"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
	"github.com/flowshunt/flowshunt/pkg/path"
	"github.com/flowshunt/flowshunt/pkg/tc"
	"github.com/flowshunt/flowshunt/pkg/underlay"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// callTime bounds a call of ovs-vswitchd, which answers one after the other.
const callTime = 5 * time.Second

// Agent is one running agent.
type Agent struct {
	cfg   Config
	log   *slog.Logger
	began time.Time

	loop      *loop
	inventory *ovsdb.Inventory
	links     *link.Watcher
	routes    *underlay.Table
	// routeChanges tells when they may be others.
	routeChanges *underlay.Watcher
	devices      *devlink.Watcher
	datapath     kernelDatapath
	judge        judge
	paths        *path.Resolver
	driver       *flower.Driver
	standing     []int32 // devices on which an earlier agent left something
	deletions    *tc.Watcher
	flows        *ofswitch.Driver // nil: no rule can be a flow
	assign       func(link int32, flows bool)
	user         *userspaceConns
	eswitch      *eswitch.Eswitch
	found        []eswitch.Adopted // of an earlier agent, until the engine has them
	conns        connections
	control      net.Listener

	ports     *ports
	resets    *resets
	taps      *taps
	dumper    *dumper
	listener  *listener
	doubts    *doubts
	watchers  []interface{ run(context.Context) error } // of ovs-vswitchd
	resolver  *resolver
	validator *validator
	entries   *entries
	rules     *rules
	counter   *counter
	keeper    *keeper
	vanished  *vanished
	settings  *settings
	groups    *groups
	policies  *policies
	wires     *wires
	parts     []*component
	readiness readiness
	metering  *metering // nil: nobody asked for metrics
}

// Run runs an agent until ctx ends. An error before that says what keeps it from
// working and what to do.
func Run(ctx context.Context, cfg Config) error {
	a, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	defer a.close()
	return a.run(ctx)
}

// open returns an agent that has all it needs, and does nothing yet.
func open(ctx context.Context, cfg Config) (*Agent, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	cfg.Engine.RequireHW = cfg.requiresHW()
	if cfg.Groups.AsksOVN() {
		cfg.Engine.Mark.BlockedLabel[0] |= ovnBlocked
	}
	a := &Agent{cfg: cfg, log: cfg.Log, began: time.Now()}
	if err := a.acquire(ctx); err != nil {
		a.close()
		return nil, err
	}
	a.build()
	return a, nil
}

// acquire opens everything from the outside, in the order in which what is missing
// is best explained. The control socket comes before anything is changed: it is also
// what keeps a second agent from taking the first one's rules for leftovers.
func (a *Agent) acquire(ctx context.Context) error {
	advice, err := conntrack.Preflight(ctx, 0)
	if err != nil {
		return fmt.Errorf("conntrack: %w", err)
	}
	for _, p := range advice {
		a.log.Warn("conntrack could tell more", "what", p.What, "why", p.Why, "fix", p.Fix)
	}
	timeouts, err := conntrack.ReadTimeouts(0)
	if err != nil {
		return fmt.Errorf("conntrack: %w", err)
	}
	a.cfg.Engine.Timeouts = engine.Timeouts{TCP: timeouts.TCP, UDP: timeouts.UDP, GRE: timeouts.GRE, Generic: timeouts.Generic}
	a.cfg.Engine.FirstSession, a.cfg.Engine.AwaitRules, a.cfg.Engine.AwaitPolicies = firstSession(), true, true
	if a.inventory, err = ovsdb.New(ovsdb.Config{Endpoint: a.cfg.OVSDB}); err != nil {
		return fmt.Errorf("ovsdb: %w", err)
	}
	if a.control, err = control.Listen(ctx, a.cfg.Control); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	if err := a.listenForMetrics(ctx); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if err := a.conns.open(); err != nil {
		return fmt.Errorf("conntrack: %w", err)
	}
	if err := a.openEswitch(); err != nil {
		return fmt.Errorf("eswitch: %w", err)
	}
	if err := a.takeOver(ctx); err != nil {
		return fmt.Errorf("eswitch: take over what an earlier agent left: %w", err)
	}
	linkHealth := a.part("links")
	if a.links, err = link.New(linkHealth.note); err != nil {
		return err
	}
	linkHealth.ok()
	a.openDevices()
	if a.routes, err = underlay.Open(); err != nil {
		return err
	}
	a.routeChanges, err = underlay.Watch()
	return err
}

// openDevices looks for what is below the network devices. A kernel without devlink has
// nothing there; one whose devlink fails is asked again, for most of what is to be known
// the network devices tell too.
func (a *Agent) openDevices() {
	health := a.part("devlink")
	a.resets = &resets{now: func() *portTable { return a.ports.now.Load() }, log: a.log, health: health}
	a.devices = devlink.New(devlink.Told{Reset: a.resets.heard, Trouble: health.note, Looked: health.outcome})
}

func (a *Agent) openEswitch() error {
	driver := a.cfg.driver
	if driver == nil {
		if err := flower.CheckPreference(cmp.Or(a.cfg.Preference, flower.DefaultPreference)); err != nil {
			return err
		}
		opened, err := flower.Open(flower.Config{
			Mode: a.cfg.Hardware, RequireHW: a.cfg.RequireHW, Preference: a.cfg.Preference,
			Generation: uint8(a.cfg.Engine.FirstSession >> 32),
		})
		if err != nil {
			return err
		}
		a.driver = opened
		a.flows, err = ofswitch.Open(ofswitch.Config{
			Rundir: a.cfg.OVSRundir, Hard: a.cfg.FlowTimeout, Generation: uint8(a.cfg.Engine.FirstSession >> 32),
		})
		if err != nil {
			return err
		}
		split := eswitch.NewSplit(opened, a.flows)
		a.assign = func(link int32, flows bool) {
			if flows {
				split.Assign(link, inOpenFlow)
			} else {
				split.Assign(link, inTC)
			}
		}
		driver = split
		if a.deletions, err = opened.Watch(); err != nil {
			return err
		}
	}
	a.eswitch = eswitch.New(driver, eswitch.Config{})
	return nil
}

// firstSession returns where the ids of this agent begin: at random, so that they
// are not those of another life.
func firstSession() flows.SessionID {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return flows.SessionID(binary.BigEndian.Uint64(b[:]) &^ (1<<32 - 1) >> 1)
}

// part registers a component whose condition is shown.
func (a *Agent) part(name string) *component {
	c := newComponent(name, a.log)
	a.parts = append(a.parts, c)
	return c
}

// build connects the parts.
func (a *Agent) build() {
	part := a.part
	a.groups = newGroups(a)
	for _, src := range a.groups.sources {
		a.cfg.Engine.PermissionSources = append(a.cfg.Engine.PermissionSources, src.name)
	}
	a.loop = newLoop(newClock(), engine.New(a.cfg.Engine), a.dispatch)
	l := a.loop
	for _, src := range a.groups.sources {
		src.loop = l
		a.parts = append(a.parts, src.health)
	}
	vswitchd := &unixctl.Client{Rundir: a.cfg.OVSRundir, Timeout: callTime}
	a.buildUserspace()
	if a.judge = a.cfg.judge; a.judge == nil {
		a.judge = newJudges(&a.datapath, userspaceDatapath{a.user.client}, path.JudgeConfig{Tracer: &ofproto.Tracer{Caller: vswitchd, Ours: ofswitch.IsOurs}, Underlay: a.routes, Aside: ofswitch.Aside})
	}
	a.doubts = newDoubts(a.judge, l, a.cfg.OVSGrace)
	a.doubts.log = a.log
	a.paths = path.NewResolver(path.Config{
		Judge: a.judge, Wires: a.cfg.Wires, Selected: a.cfg.Selected,
		Found: func(t flows.Tuple) { l.hint(engine.Sighted{Tuple: t}) },
	})
	a.policies = newPolicies(a)
	a.policies.loop = l
	a.wires = newWires(a)
	a.policies.setWires, a.policies.wires = a.wires.set, a.wires.texts
	a.policies.owner = a.groups.owner
	for _, src := range a.groups.sources {
		src.owners = a.policies.ownersChanged
	}
	ovs := part("ovsdb")
	a.dumper = newDumper(&dumps{a.conns.dump, a.user}, l, a.cfg.PollInterval, part("conntrack-dump"))
	a.listener = &listener{conn: a.conns.events, loop: l, dumper: a.dumper, health: part("conntrack-events")}
	a.entries = &entries{conn: &conntables{a.conns.work, a.user}, blocked: a.cfg.Engine.Mark.Blocked, never: a.cfg.Engine.Mark.Never, loop: l, todo: newQueue[engine.Effect](), health: part("conntrack-entries")}
	a.taps = newTaps(a.paths, a.user, l, part("taps"))
	if a.routes != nil {
		a.taps.own.list = a.routes.Addresses
	}
	a.ports = &ports{cfg: &a.cfg, inventory: a.inventory, groups: a.groups, policies: a.policies, links: a.links, devices: a.devices, resets: a.resets, paths: a.paths, judge: a.judge, taps: a.taps,
		doubts: a.doubts, rows: rowDoubts{doubts: a.doubts}, eswitch: a.eswitch, loop: l, health: ovs,
		again: make(chan struct{}, 1), inherited: make(chan []int32, 1), assign: a.assign, announce: a.links.Announce}
	if a.driver != nil {
		a.ports.probe = a.driver.Probe
	}
	a.resolver = &resolver{paths: a.paths, loop: l, todo: newQueue[engine.Resolve](), want: a.taps.want, log: a.log}
	a.validator = &validator{paths: a.paths, loop: l, todo: newQueue[pendingValidation](),
		health: part("ovs-vswitchd")}
	if a.cfg.judge == nil {
		a.watchers = append(a.watchers,
			&monitors{counter: lateCounter{a}, rundir: cmp.Or(a.cfg.OVSRundir, unixctl.DefaultRundir), bridges: a.ports.bridges,
				doubts: a.doubts, health: part("openflow"), confirm: a.cfg.ConfirmEvery, grace: a.cfg.OVSGrace},
			&underlayDoubts{changes: a.routeChanges, routes: a.routes, ports: a.ports, doubts: a.doubts},
			&stations{fdb: &ofproto.FDB{Caller: vswitchd}, bridges: a.ports.bridges, doubts: a.doubts, seen: a.paths, loop: l, health: part("fdb")})
	}
	eswitchHealth := part("eswitch")
	a.rules = newRules(a.eswitch, a.ports.places, l, eswitchHealth, a.log)
	a.rules.told = a.user.installed
	a.keeper = &keeper{eswitch: a.eswitch, loop: l, health: eswitchHealth}
	a.counter = &counter{eswitch: a.eswitch, loop: l, interval: a.cfg.CountInterval, health: eswitchHealth, now: make(chan struct{}, 1)}
	a.resets.loop = l
	a.vanished = &vanished{deletions: a.deletions, ports: a.ports, counter: a.counter, health: part("tc-events")}
	a.settings = &settings{check: checkConntrack, interval: checkSettings, health: part("conntrack-settings")}
	a.meter()
}

// buildUserspace makes what reads the userspace datapath, should there be one.
func (a *Agent) buildUserspace() {
	a.user = newUserspaceConns(&dpctl.Client{Caller: &unixctl.Client{Rundir: a.cfg.OVSRundir, Timeout: callTime, MaxReply: maxConnections}})
	bridges := func() []bridgeFacts { return a.ports.bridges() }
	a.user.relax = a.cfg.UserspaceLiberal
	a.user.known = func() bool { return a.ports.told.Load() }
	a.user.exists = func() bool {
		return slices.ContainsFunc(bridges(), func(b bridgeFacts) bool { return b.datapath == userspace })
	}
	a.user.touch = (&toucher{rundir: cmp.Or(a.cfg.OVSRundir, unixctl.DefaultRundir), bridges: bridges}).touch
	a.user.health = a.part("userspace-conntrack")
	a.user.health.ok() // until there is one
}

// maxConnections bounds the text of a dump: some 500,000 connections.
const maxConnections = 128 << 20

// lateCounter is the counter, which is made later.
type lateCounter struct{ *Agent }

func (l lateCounter) soon() { l.counter.soon() }

// dispatch hands effects to their executors.
func (a *Agent) dispatch(effects []engine.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case engine.Resolve:
			a.log.Debug("resolve", "session", e.Session, "connection", e.Entry.Tuple, "zone", e.Entry.Zone)
			a.resolver.todo.put(e)
		case engine.Validate:
			a.validator.put(e)
		case engine.Install:
			a.log.Debug("install", "session", e.Session, "connection", e.Tuples[flows.Orig])
			a.rules.install(e)
		case engine.Remove:
			a.log.Debug("remove", "session", e.Session, "cause", e.Cause)
			a.rules.remove(e)
		default:
			a.entries.todo.put(e)
		}
	}
}

// run starts the parts in an order that lets each find what it needs, and stops
// them in the opposite one: the watchers first, the executors when nothing is left
// to do. An executor that fails ends everything.
func (a *Agent) run(ctx context.Context) error {
	executors, stopExecutors := context.WithCancel(context.WithoutCancel(ctx))
	defer stopExecutors()
	inner, innerCtx := errgroup.WithContext(executors)
	for _, f := range []func(context.Context) error{
		a.loop.run, a.resolver.run, a.validator.run, a.entries.run, a.rules.run, a.counter.run, a.keeper.run, a.watchTables, a.serveControl, a.serveMetrics,
	} {
		inner.Go(func() error { return f(innerCtx) })
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	context.AfterFunc(innerCtx, stopWatching)
	err := a.watch(watching)
	a.log.Info("stopping", "keep", a.cfg.KeepOnExit)
	a.notify("STOPPING=1")
	stopErr := a.stop()
	stopExecutors()
	return errors.Join(err, stopErr, inner.Wait())
}

// watch runs the watchers until ctx ends or one of them fails.
func (a *Agent) watch(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	watch := func(f func(context.Context) error) {
		group.Go(func() error { return unlessDone(ctx, f(ctx)) })
	}
	watch(a.links.Run)
	watch(a.devices.Run)
	watch(a.inventory.Run)
	watch(func(ctx context.Context) error {
		if err := a.awaitInventory(ctx); err != nil {
			return err
		}
		for _, f := range []func(context.Context) error{
			a.taps.run, a.ports.run, a.groups.run, a.policies.run, a.wires.run, a.dumper.run, a.listener.run, a.vanished.run, a.settings.run, a.adopt, a.announce,
		} {
			watch(f)
		}
		for _, w := range a.watchers {
			watch(w.run)
		}
		return nil
	})
	return group.Wait()
}

func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// awaitInventory waits for the first sight of the database.
func (a *Agent) awaitInventory(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, a.cfg.OVSWait)
	defer cancel()
	snapshot, err := a.inventory.Wait(wait, func(s *ovsdb.Snapshot) bool { return s.Synced })
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		return nil
	case snapshot.Err != nil:
		return snapshot.Err
	}
	return fmt.Errorf("ovsdb: no answer within %v: is ovsdb-server overloaded?", a.cfg.OVSWait)
}

func (a *Agent) serveControl(ctx context.Context) error {
	server := control.Server{Backend: (*backend)(a), OnPanic: func(method string, value any, stack []byte) {
		a.log.Error("a request made the agent panic", "method", method, "panic", value, "stack", string(stack))
	}}
	return server.Serve(ctx, a.control)
}

func (a *Agent) close() {
	if a.control != nil {
		_ = a.control.Close()
	}
	a.metering.close()
	a.conns.close()
	if a.deletions != nil {
		_ = a.deletions.Close()
	}
	if a.driver != nil {
		_ = a.driver.Close()
	}
	if a.flows != nil {
		_ = a.flows.Close()
	}
	if a.doubts != nil {
		a.doubts.close()
	}
	if a.resets != nil {
		a.resets.close()
	}
	if a.routes != nil {
		a.routes.Close()
	}
	if a.routeChanges != nil {
		_ = a.routeChanges.Close()
	}
	a.datapath.close()
}
