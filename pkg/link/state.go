package link

import (
	"maps"
	"sync"

	"github.com/flowshunt/flowshunt/flows"
)

// State is what is known of one network device.
type State struct {
	Name    string
	Admin   bool // IFF_UP
	Carrier bool // IFF_LOWER_UP
	// Life counts devices: one that was deleted and created again with the same
	// index has another Life, even if nobody looked in between.
	Life uint64

	MTU    int
	Master int32  // index of the bridge, bond or switch that it is a port of; 0: none
	Kind   string // of a software device: "veth", "bond", "openvswitch", ...; empty for a driver's
	Parent Parent // the device that it is made of

	// SwitchID names the eswitch that the device is a port of (phys_switch_id). Only
	// representors have one, and some uplinks whose eswitch is in legacy mode. It may
	// come after the device.
	SwitchID flows.EswitchID
	// PortName is the device's name within the eswitch, as "pf0vf3" (phys_port_name).
	PortName string
	TC       Offload // the feature hw-tc-offload
}

// Parent names a device on a bus (Linux 5.14 and later tell it; empty otherwise).
type Parent struct{ Bus, Name string }

// String returns the name that devlink has for it, as "pci/0000:03:00.0".
func (p Parent) String() string {
	if p.Name == "" {
		return ""
	}
	return p.Bus + "/" + p.Name
}

// Offload is the state of a feature that a device may offer.
type Offload uint8

// The states. Unknown is that of kernels that do not tell (before Linux 5.8).
const (
	Unknown Offload = iota
	Unsupported
	Off
	On
	OffFixed // the driver has it, and does not let it be switched on
	OnFixed  // or off
)

var offloads = [...]string{"unknown", "not supported", "off", "on", "off (fixed)", "on (fixed)"}

// String returns the words that people know from ethtool.
func (o Offload) String() string {
	if int(o) < len(offloads) {
		return offloads[o]
	}
	return offloads[Unknown]
}

// IsOn reports whether the feature is on.
func (o Offload) IsOn() bool { return o == On || o == OnFixed }

// Up reports whether packets can leave and enter.
func (s State) Up() bool { return s.Admin && s.Carrier }

// table holds the states by interface index.
type table struct {
	mu     sync.Mutex
	states map[int32]State
	lives  uint64
}

func (t *table) snapshot() map[int32]State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.states)
}

// replace takes over a full list and reports whether anything differs. A device
// whose deletion was missed is recognized by its absence only.
func (t *table) replace(list map[int32]State) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := false
	for index, s := range list {
		changed = t.put(index, s) || changed
	}
	for index := range t.states {
		if _, there := list[index]; !there {
			delete(t.states, index)
			changed = true
		}
	}
	return changed
}

// apply takes over one notification and reports whether anything differs.
func (t *table) apply(n *notification) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.gone {
		_, existed := t.states[n.index]
		delete(t.states, n.index)
		return existed
	}
	return t.put(n.index, n.state)
}

func (t *table) put(index int32, s State) bool {
	old, existed := t.states[index]
	s.Life = old.Life
	if !existed {
		t.lives++
		s.Life = t.lives
	}
	t.states[index] = s
	return s != old
}
