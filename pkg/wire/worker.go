package wire

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

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
	hears  atomic.Bool            // probes that come through would be told
	deaf   atomic.Pointer[string] // why they would not, if they should
	dirty  atomic.Bool            // something may have changed in the bridge

	mu     sync.Mutex
	tasks  []task
	counts map[string]Counts

	wires  map[string]*kept
	client *openflow.Client
	ports  numbers
	have   standing
	marks  map[string]mark // that flows had when they were read last
	looked time.Time
	failed error     // why the bridge cannot be told
	away   time.Time // since when it does not answer; zero: it does
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
	nudge(w.wake)
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
			if !w.hear(a) {
				continue // nothing else is to be done
			}
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
		if k.probed() && k.health.next.Before(due) {
			due = k.health.next
		}
	}
	return due
}

// pass does all that there is to do now: what came through counts before what did not.
func (w *worker) pass(ctx context.Context) {
	if err := w.look(ctx); err != nil {
		w.lose(ctx, err)
	}
	for _, a := range w.waiting() {
		w.hear(a)
	}
	w.update()
	if w.away.IsZero() {
		w.probe(ctx)
	}
	if w.away.IsZero() { // still
		w.decide()
		w.warn()
		if err := w.mend(ctx); err != nil {
			w.lose(ctx, err)
		}
	}
	w.tell()
}
