package agent

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
)

// appliedLater is when a change that the database told is doubted again:
// ovs-vswitchd hears of it at the same time as we do, and need not have taken it over
// when it is asked first. Normally cur_cfg tells when it has; nobody must write so.
var appliedLater = []time.Duration{300 * time.Millisecond, time.Second, 3 * time.Second}

// rowDoubts raises doubts about what the database says of forwarding. It is used by one
// goroutine.
type rowDoubts struct {
	doubts    *doubts
	before    *ovsdb.Snapshot
	bridges   []bridgeFacts  // as they were then
	unapplied []flows.PortID // of bridges that changed since cur_cfg did
}

// compare looks for what is different from the snapshot before.
func (r *rowDoubts) compare(s *ovsdb.Snapshot, bridges []bridgeFacts) {
	before, was := r.before, r.bridges
	r.before, r.bridges = s, bridges
	if before == nil || !s.Connected {
		return
	}
	touched := make(map[string]bool)
	for _, c := range ovsdb.Diff(before, s) {
		if c.Kind == ovsdb.BridgeChanged && forwardAlike(*c.OldBridge, *c.NewBridge) {
			continue
		}
		for _, b := range []*ovsdb.Bridge{c.OldBridge, c.NewBridge} {
			if b != nil {
				touched[b.Name] = true
			}
		}
		for _, p := range []*ovsdb.Port{c.Old, c.New} {
			if p != nil {
				touched[p.Bridge] = true
			}
		}
	}
	// Packets that came through a bridge that is gone, or is not joined to theirs any
	// more, go another way too.
	var lists [][]flows.PortID
	for _, b := range slices.Concat(was, bridges) {
		if touched[b.name] {
			lists = append(lists, b.ports)
		}
	}
	ports := mergePorts(lists...)
	if len(ports) > 0 {
		r.raise(ports)
		for _, after := range appliedLater {
			time.AfterFunc(after, func() { r.raise(ports) })
		}
		r.unapplied = mergePorts(r.unapplied, ports)
	}
	if s.Switch.Applied != before.Switch.Applied && len(r.unapplied) > 0 {
		r.raise(r.unapplied)
		r.unapplied = nil
	}
}

// forwardAlike reports whether a bridge has changed in nothing that forwards: the id of its
// datapath, which a restarted ovsdb-server does not know until ovs-vswitchd tells it; and
// which state ovn-controller has carried out, which it notes there each time that somebody
// waits for one.
func forwardAlike(a, b ovsdb.Bridge) bool {
	a.DatapathID = b.DatapathID
	a.ExternalIDs, b.ExternalIDs = withoutState(a.ExternalIDs), withoutState(b.ExternalIDs)
	return reflect.DeepEqual(a, b)
}

func withoutState(ids map[string]string) map[string]string {
	ids = maps.Clone(ids)
	delete(ids, "ovn-nb-cfg")
	delete(ids, "ovn-nb-cfg-ts")
	if len(ids) == 0 {
		return nil
	}
	return ids
}

func (r *rowDoubts) raise(ports []flows.PortID) {
	r.doubts.raise("ovsdb", engine.PathsDoubted{Ports: ports})
}
