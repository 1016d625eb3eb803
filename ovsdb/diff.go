package ovsdb

import (
	"fmt"
	"reflect"

	"github.com/flowshunt/flowshunt/flows"
)

// ChangeKind says what is different in a newer snapshot.
type ChangeKind uint8

// The kinds, in the order in which Diff reports them: what takes something away
// comes before what adds something.
const (
	ConnectionChanged ChangeKind = iota // Connected or Synced
	SwitchChanged                       // any field of Switch
	BridgeRemoved
	BridgeChanged
	BridgeAdded
	PortRemoved
	PortChanged
	PortAdded
)

var changeKindNames = [...]string{
	"connection-changed", "switch-changed", "bridge-removed", "bridge-changed", "bridge-added",
	"port-removed", "port-changed", "port-added",
}

// String returns a lower-case name.
func (k ChangeKind) String() string {
	if int(k) < len(changeKindNames) {
		return changeKindNames[k]
	}
	return fmt.Sprintf("change-%d", uint8(k))
}

// Change is one difference between two snapshots. Old and New point into the
// snapshots and are nil where the port (or bridge) is not there.
type Change struct {
	Kind                 ChangeKind
	Old, New             *Port
	OldBridge, NewBridge *Bridge
}

// Diff returns what is different in the newer snapshot, in the order of the
// kinds, and by name within a kind. A port whose id is another one is a removed
// and an added port. A nil snapshot is an empty one.
func Diff(older, newer *Snapshot) []Change {
	if older == nil {
		older = &Snapshot{}
	}
	if newer == nil {
		newer = &Snapshot{}
	}
	var changes []Change
	if older.Connected != newer.Connected || older.Synced != newer.Synced {
		changes = append(changes, Change{Kind: ConnectionChanged})
	}
	if !reflect.DeepEqual(older.Switch, newer.Switch) {
		changes = append(changes, Change{Kind: SwitchChanged})
	}
	changes = append(changes, diffBridges(older.Bridges, newer.Bridges)...)
	return append(changes, diffPorts(older.Ports, newer.Ports)...)
}

// diffBy matches rows by key and returns those that are in one list only, or
// different in both, each in the order of its list.
func diffBy[T any, K comparable](older, newer []T, key func(*T) K) (removed []*T, changed [][2]*T, added []*T) {
	was := make(map[K]*T, len(older))
	for i := range older {
		was[key(&older[i])] = &older[i]
	}
	for i := range newer {
		now := &newer[i]
		before, ok := was[key(now)]
		delete(was, key(now))
		if !ok {
			added = append(added, now)
		} else if before != now && !reflect.DeepEqual(before, now) {
			changed = append(changed, [2]*T{before, now})
		}
	}
	for i := range older {
		if _, gone := was[key(&older[i])]; gone {
			removed = append(removed, &older[i])
		}
	}
	return removed, changed, added
}

func diffBridges(older, newer []Bridge) (changes []Change) {
	removed, changed, added := diffBy(older, newer, func(b *Bridge) string { return b.Name })
	for _, b := range removed {
		changes = append(changes, Change{Kind: BridgeRemoved, OldBridge: b})
	}
	for _, b := range changed {
		changes = append(changes, Change{Kind: BridgeChanged, OldBridge: b[0], NewBridge: b[1]})
	}
	for _, b := range added {
		changes = append(changes, Change{Kind: BridgeAdded, NewBridge: b})
	}
	return changes
}

func diffPorts(older, newer []Port) (changes []Change) {
	removed, changed, added := diffBy(older, newer, portKey)
	for _, p := range removed {
		changes = append(changes, Change{Kind: PortRemoved, Old: p})
	}
	for _, p := range changed {
		changes = append(changes, Change{Kind: PortChanged, Old: p[0], New: p[1]})
	}
	for _, p := range added {
		changes = append(changes, Change{Kind: PortAdded, New: p})
	}
	return changes
}

func portKey(p *Port) flows.PortID { return p.ID }
