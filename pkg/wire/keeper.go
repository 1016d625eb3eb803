package wire

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// Config says where bridges are and who asks. Rundir and Tell must be set.
type Config struct {
	Rundir string // where ovs-vswitchd has its sockets
	// Node names this node, when a wire begins: it tells its probes from those of others. Nil:
	// there are no others.
	Node func() string
	// Taken says which conntrack zones belong to others; nil: none of those that wires take.
	Taken func(flows.Zone) bool
	// Grace is how long a bridge may not answer before its wires are Unready; 0: 10 s.
	Grace time.Duration
	// Tell is called with all wires, by name, when anything of them changed, and not before each
	// bridge with a wire was looked at. Calls come one at a time; a wire that nothing shall
	// pass any more has its flows changed after the call.
	Tell func([]Status)
}

func (c *Config) node() string {
	if c.Node == nil {
		return ""
	}
	return c.Node()
}

func (c *Config) grace() time.Duration { return cmp.Or(c.Grace, 10*time.Second) }

// Keeper keeps wires: it makes their flows, and makes them again when they are gone, and
// watches inspectors. Before Set is called it leaves everything as it is, and when it ends too.
type Keeper struct {
	cfg   Config
	zones zones
	wake  chan struct{}

	telling  sync.Mutex // around Tell; before mu
	mu       sync.Mutex
	set      bool // Set was called and arranged
	news     bool // since it was arranged
	specs    []Spec
	bridges  []Bridge
	workers  map[string]*running
	reported map[string][]Status // by bridge
	homes    map[string]home     // by wire
	away     []Status            // of wires that no bridge can have
	told     []Status
}

// home is the bridge that tells of a wire.
type home struct {
	spec   Spec
	bridge string
}

// running is a worker with what ends it.
type running struct {
	*worker
	stop context.CancelFunc
	done chan struct{}
}

// New returns a keeper that does nothing before Run.
func New(cfg Config) *Keeper {
	return &Keeper{cfg: cfg, wake: make(chan struct{}, 1), workers: make(map[string]*running), reported: make(map[string][]Status)}
}

// Set says which wires there shall be, and which bridges there are. It returns at once, and
// keeps the slices.
func (k *Keeper) Set(specs []Spec, bridges []Bridge) {
	k.mu.Lock()
	k.news, k.specs, k.bridges = true, specs, bridges
	k.mu.Unlock()
	nudge(k.wake)
}

// nudge puts a value where somebody waits for one, unless there is one.
func nudge(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// Run keeps the wires until ctx ends, and returns its error. Their flows stay.
func (k *Keeper) Run(ctx context.Context) error {
	defer k.stopAll()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-k.wake:
		}
		k.arrange(ctx)
		k.tell()
	}
}

// arrange gives each bridge its wires. What flows of a bridge say is read before any wire gets
// zones, for they may be those of another.
func (k *Keeper) arrange(ctx context.Context) {
	k.mu.Lock()
	news, specs, bridges := k.news, k.specs, k.bridges
	k.news = false
	k.mu.Unlock()
	if !news {
		return
	}
	tasks, away := assign(specs, bridges)
	there := make(map[string]bool, len(bridges))
	var found []string
	for _, b := range bridges {
		there[b.Name] = true
		if k.workers[b.Name] == nil && (k.survey(ctx, b.Name) || len(tasks[b.Name]) > 0) {
			found = append(found, b.Name)
		}
	}
	for name, r := range k.workers {
		if !there[name] {
			k.end(name, r)
		}
	}
	names := make([]string, len(specs))
	for i := range specs {
		names[i] = specs[i].Name
	}
	k.zones.keep(names)
	k.mu.Lock()
	k.away, k.homes, k.set = away, homesOf(tasks), true
	k.mu.Unlock()
	for _, name := range found {
		k.begin(ctx, name, tasks[name])
	}
	for name, r := range k.workers {
		r.set(tasks[name])
	}
}

func homesOf(tasks map[string][]task) map[string]home {
	homes := make(map[string]home)
	for bridge, list := range tasks {
		for i := range list {
			if list[i].home {
				homes[list[i].Name] = home{list[i].Spec, bridge}
			}
		}
	}
	return homes
}

// survey reads which zones the wires of a bridge have, and reports whether there are any. A bridge that does not answer has
// flows that nobody knows, or none: then its wires get new zones.
func (k *Keeper) survey(ctx context.Context, bridge string) bool {
	c, err := openflow.Dial(ctx, openflow.SocketPath(k.cfg.Rundir, bridge), callTime)
	if err != nil {
		return false
	}
	defer c.Close()
	have, marks, err := read(ctx, c)
	if err != nil {
		return false
	}
	for _, m := range marks {
		k.zones.learn(m.name, m.zones)
	}
	return len(have) > 0
}

func (k *Keeper) begin(ctx context.Context, bridge string, tasks []task) {
	ctx, stop := context.WithCancel(ctx)
	r := &running{stop: stop, done: make(chan struct{})}
	r.worker = newWorker(&k.cfg, bridge, &k.zones, func(list []Status) { k.report(bridge, list) })
	r.tasks = tasks
	k.mu.Lock()
	k.workers[bridge] = r
	k.mu.Unlock()
	go func() {
		defer close(r.done)
		r.run(ctx)
	}()
}

func (k *Keeper) end(bridge string, r *running) {
	r.stop()
	<-r.done
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.workers, bridge)
	delete(k.reported, bridge)
}

func (k *Keeper) stopAll() {
	for name, r := range maps.Clone(k.workers) {
		k.end(name, r)
	}
}

// Counts returns what happened to the wires, by name.
func (k *Keeper) Counts() map[string]Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make(map[string]Counts)
	for _, r := range k.workers {
		r.mu.Lock()
		maps.Copy(all, r.counts)
		r.mu.Unlock()
	}
	return all
}
