package agent

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/metrics"
	"github.com/flowshunt/flowshunt/pkg/path"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// wires keeps the wires that the policy database asks for, and tells how they are.
type wires struct {
	inventory *ovsdb.Inventory
	keeper    *wire.Keeper
	told      func([]wire.Status) // that they are so from now on
	changed   chan struct{}       // a value says that there is something new for the database

	mu    sync.Mutex
	asked bool // somebody has said which wires there shall be
	specs []wire.Spec
	last  []wire.Bridge

	now atomic.Pointer[[]wire.Status]
}

func newWires(a *Agent) *wires {
	w := &wires{inventory: a.inventory, changed: a.policies.changed}
	w.told = func(list []wire.Status) { a.ports.setWires(list) }
	w.keeper = wire.New(wire.Config{
		Rundir: cmp.Or(a.cfg.OVSRundir, unixctl.DefaultRundir), Node: func() string { return nameOf(a.inventory.Snapshot()) }, Taken: w.taken, Grace: a.cfg.OVSGrace, Tell: w.tell,
	})
	return w
}

// run keeps the wires until ctx ends. Their flows stay.
func (w *wires) run(ctx context.Context) error {
	changed, stop := w.inventory.Watch()
	defer stop()
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { _ = w.keeper.Run(ctx) })
	for {
		w.pass(false)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// set says which wires there shall be.
func (w *wires) set(specs []wire.Spec) {
	w.mu.Lock()
	news := !w.asked || !slices.Equal(w.specs, specs)
	w.asked, w.specs = true, specs
	w.mu.Unlock()
	w.pass(news)
}

// pass tells the keeper what is new. Before the database of Open vSwitch was read there is
// nothing to tell.
func (w *wires) pass(news bool) {
	s := w.inventory.Snapshot()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.asked || !s.Synced {
		return
	}
	bridges := wireBridges(s)
	same := slices.EqualFunc(w.last, bridges, func(a, b wire.Bridge) bool {
		return a.Name == b.Name && a.Owner == b.Owner && a.Secure == b.Secure && slices.Equal(a.Ports, b.Ports)
	})
	if news || w.last == nil || !same {
		w.last = bridges
		w.keeper.Set(w.specs, bridges)
	}
}

func wireBridges(s *ovsdb.Snapshot) []wire.Bridge {
	list := make([]wire.Bridge, 0, len(s.Bridges))
	for i := range s.Bridges {
		b := &s.Bridges[i]
		next := wire.Bridge{Name: b.Name, Owner: ownerOf(s, b.Name), Secure: b.FailMode == "secure"}
		for j := range s.Ports {
			if s.Ports[j].Bridge == b.Name {
				next.Ports = append(next.Ports, s.Ports[j].Name)
			}
		}
		list = append(list, next)
	}
	return list
}

// taken reports whether a conntrack zone is one that ovn-controller or Neutron has given away.
func (w *wires) taken(zone flows.Zone) bool {
	s := w.inventory.Snapshot()
	for i := range s.Bridges {
		for _, z := range s.Bridges[i].Zones {
			if z == zone {
				return true
			}
		}
	}
	return slices.ContainsFunc(s.Ports, func(p ovsdb.Port) bool {
		return p.OVNZone.Known && p.OVNZone.Zone == zone || p.LocalVLANZone.Known && p.LocalVLANZone.Zone == zone
	})
}

func (w *wires) tell(list []wire.Status) {
	w.told(list)
	w.now.Store(&list) // after that, for whoever waits for it
	signal(w.changed)
}

// pathWires are the wires that something can travel along.
func pathWires(list []wire.Status) []path.Wire {
	var known []path.Wire
	for _, s := range list {
		known = append(known, path.Wire{Ends: s.Ports, Inspectors: s.Inspectors, Zones: s.Zones, State: s.State})
	}
	return known
}

// known reports whether anything was told of wires, be it that there are none.
func (w *wires) known() bool { return w.now.Load() != nil }

func (w *wires) list() []wire.Status {
	if list := w.now.Load(); list != nil {
		return *list
	}
	return nil
}

// texts are the wires as the row of table Node has them.
func (w *wires) texts() map[string]string {
	texts := make(map[string]string)
	for _, s := range w.list() {
		texts[s.Name] = s.String()
	}
	return texts
}

func (w *wires) show() []control.Wire {
	var list []control.Wire
	for _, s := range w.list() {
		list = append(list, control.Wire{
			Name: s.Name, Ports: s.Ports, Inspectors: s.Inspectors, FailOpen: s.FailOpen, Bridge: s.Bridge,
			State: s.State.String(), Since: s.Since, Detail: s.Detail, Problem: s.Problem,
			Zones: [2]uint16{uint16(s.Zones[0]), uint16(s.Zones[1])},
		})
	}
	return list
}

func (w *wires) metrics() []metrics.Wire {
	counts := w.keeper.Counts()
	var list []metrics.Wire
	for _, s := range w.list() {
		c := counts[s.Name]
		list = append(list, metrics.Wire{
			Name: s.Name, State: s.State.String(), For: time.Since(s.Since), Sent: c.Sent, Missed: c.Missed, Turns: c.Turns,
		})
	}
	return list
}
