package wire

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

const (
	lookEvery  = time.Second            // how often flows and ports are read when nothing asks for it
	retryEvery = 100 * time.Millisecond // how often a bridge that is away is tried
	callTime   = 2 * time.Second        // how long a bridge may take to answer
)

// worker keeps the wires of one bridge. All but the tasks belongs to the goroutine of run.
type worker struct {
	cfg    *Config
	bridge string
	zones  *zones
	report func([]Status)
	wake   chan struct{}
	heard  chan answer
	hears  atomic.Bool // probes that come through would be told
	dirty  atomic.Bool // something may have changed in the bridge

	mu     sync.Mutex
	tasks  []task
	counts map[string]Counts

	wires  map[string]*kept
	client *openflow.Client
	ports  numbers
	have   standing
	marks  map[string]mark // that flows had when they were read first
	looked time.Time
	failed error     // why the bridge cannot be told, or refuses
	away   time.Time // since when it does not answer; zero: it does
}

// kept is a wire in this bridge.
type kept struct {
	task
	macs   [2]flows.MAC
	health *health
	plan   plan
	ready  bool // a plan was made
	why    string
	status Status
	turns  uint64
}

// answer is a probe that came through.
type answer struct {
	from   flows.MAC
	port   uint32
	number uint64
}

func newWorker(cfg *Config, bridge string, z *zones, report func([]Status)) *worker {
	w := &worker{
		cfg: cfg, bridge: bridge, zones: z, report: report, wake: make(chan struct{}, 1), heard: make(chan answer, 256),
		wires: make(map[string]*kept), marks: make(map[string]mark),
	}
	w.dirty.Store(true)
	return w
}

// set says which wires the bridge shall have.
func (w *worker) set(tasks []task) {
	w.mu.Lock()
	w.tasks = tasks
	w.mu.Unlock()
	w.nudge()
}

func (w *worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run keeps the wires until ctx ends, and leaves their flows where they are.
func (w *worker) run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	defer w.hangUp()
	group.Go(func() { w.follow(ctx) })
	group.Go(func() { w.receive(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case a := <-w.heard:
			w.hear(a)
		case <-timer.C:
		}
		w.pass(ctx)
		timer.Reset(time.Until(w.due()))
	}
}

// due returns when something is to be done although nothing happens.
func (w *worker) due() time.Time {
	if !w.away.IsZero() {
		return time.Now().Add(retryEvery)
	}
	due := w.looked.Add(lookEvery)
	for _, k := range w.wires {
		if k.probed() && k.health.due().Before(due) {
			due = k.health.due()
		}
	}
	return due
}

func (k *kept) probed() bool { return k.Inspected() && k.owner == "" && k.broken == "" && k.ready }

// pass does all that there is to do now: what came through counts before what did not.
func (w *worker) pass(ctx context.Context) {
	if err := w.look(ctx); err != nil {
		w.lose(ctx, err)
	}
	for len(w.heard) > 0 {
		w.hear(<-w.heard)
	}
	w.update()
	if w.away.IsZero() {
		w.probe(ctx)
		w.decide()
		if err := w.mend(ctx); err != nil {
			w.lose(ctx, err)
		}
	}
	w.tell()
}

// look reads the bridge, if that is due.
func (w *worker) look(ctx context.Context) (err error) {
	now := time.Now()
	if !w.dirty.Swap(false) && w.away.IsZero() && now.Sub(w.looked) < lookEvery {
		return nil
	}
	if w.client == nil {
		if w.client, err = openflow.Dial(ctx, openflow.SocketPath(w.cfg.Rundir, w.bridge), callTime); err != nil {
			return err
		}
	}
	list, err := w.client.Ports(ctx)
	if err != nil {
		return err
	}
	have, marks, err := read(ctx, w.client)
	if err != nil {
		return err
	}
	if w.looked.IsZero() {
		for _, m := range marks {
			w.marks[m.name] = m
		}
	}
	w.ports, w.have, w.looked, w.away, w.failed = numbersOf(list), have, now, time.Time{}, nil
	return nil
}

// lose takes note that the bridge could not be told.
func (w *worker) lose(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	w.failed = err
	if _, refused := errors.AsType[*openflow.BundleError](err); refused {
		return // and is tried again when it is looked the next time
	}
	w.hangUp()
	if w.away.IsZero() {
		w.away = time.Now()
	}
}

func (w *worker) hangUp() {
	if w.client != nil {
		_ = w.client.Close()
		w.client = nil
	}
}

// update takes over what the bridge shall have.
func (w *worker) update() {
	w.mu.Lock()
	tasks := w.tasks
	w.mu.Unlock()
	wanted := make(map[string]bool, len(tasks))
	for _, t := range tasks {
		wanted[t.Name] = true
		k := w.wires[t.Name]
		if k == nil || k.Spec != t.Spec {
			k = w.begin(t)
			w.wires[t.Name] = k
		}
		k.task = t
	}
	for name := range w.wires {
		if !wanted[name] {
			delete(w.wires, name)
		}
	}
}

// begin begins to keep a wire, where those stopped who did before us.
func (w *worker) begin(t task) *kept {
	k := &kept{task: t, macs: probeMACs(w.cfg.node(), t.Name)}
	was := w.marks[t.Name].state
	if old := w.wires[t.Name]; old != nil {
		k.status, k.turns, was = old.status, old.turns, old.plan.state
	}
	k.health = newHealth(t.interval(), was == Open || was == Closed)
	return k
}

// decide plans what each wire shall be, by what the bridge has said.
func (w *worker) decide() {
	for _, k := range w.wires {
		pair, ok := w.zones.of(k.Name, w.cfg.Taken)
		switch {
		case k.owner != "":
			k.plan, k.why = plan{name: k.Name}, k.owner
		case !ok:
			k.plan, k.why = plan{name: k.Name}, "no conntrack zone is left"
		default:
			if k.Inspected() {
				k.health.link(w.ports.unlinked(w.bridge, k.Inspectors))
			}
			k.plan, k.why = k.task.plan(w.bridge, w.ports, k.health, pair, k.macs)
		}
		k.ready = true
	}
}

// mend makes the bridge have the flows of the plans.
func (w *worker) mend(ctx context.Context) error {
	if w.have == nil {
		return nil
	}
	var want []openflow.FlowMod
	for _, k := range w.wires {
		if k.plan.zones[0] != 0 {
			want = append(want, k.plan.flows()...)
		}
	}
	for _, bundle := range w.have.mend(want) {
		w.dirty.Store(true)
		if err := w.client.Bundle(ctx, bundle); err != nil {
			return err
		}
	}
	if w.dirty.Load() {
		w.have = standingOf(want) // until it is read
	}
	return nil
}

func standingOf(want []openflow.FlowMod) standing {
	have := make(standing, len(want))
	for _, m := range want {
		have[place{m.Priority, m.Match}] = m
	}
	return have
}

// tell says how the wires are.
func (w *worker) tell() {
	list := make([]Status, 0, len(w.wires))
	counts := make(map[string]Counts, len(w.wires))
	for _, k := range w.wires {
		w.settle(k)
		counts[k.Name] = k.counts()
		if k.home {
			list = append(list, k.status)
		}
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	w.mu.Lock()
	w.counts = counts
	w.mu.Unlock()
	w.report(list)
}

// settle works out what is told of a wire. Its flows may not be in force: then it is what it
// was, unless nothing shall pass any more.
func (w *worker) settle(k *kept) {
	next := Status{Spec: k.Spec, State: k.plan.state, Bridge: w.bridge, Zones: k.plan.zones, Detail: k.why, Problem: k.risk}
	if next.State == Through {
		next.Zones[1] = next.Zones[0]
	}
	if w.failed != nil {
		text := "bridge " + w.bridge + ": " + w.failed.Error()
		patient := k.status.State != Unready && !errors.Is(w.failed, openflow.ErrVersion) &&
			(w.away.IsZero() || time.Since(w.away) < w.cfg.grace())
		switch {
		case k.ready && (next.State == Closed || next.State == Unready && w.away.IsZero()):
			next.Problem = text
		case patient:
			next.State, next.Zones, next.Detail, next.Problem = k.status.State, k.status.Zones, k.status.Detail, text
		default:
			next.State, next.Detail = Unready, text
		}
	}
	if next.State == Unready {
		next.Bridge, next.Zones = "", [2]flows.Zone{}
	}
	next.Since = k.status.Since
	if next.State != k.status.State || k.status.Since.IsZero() {
		next.Since = time.Now()
		k.turns++
	}
	k.status = next
}
