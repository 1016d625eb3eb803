package link

import (
	"maps"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// State is what is known of one network device.
type State struct {
	Name    string
	Admin   bool // IFF_UP
	Carrier bool // IFF_LOWER_UP
	// Life counts devices: one that was deleted and created again with the same
	// index has another Life, even if nobody looked in between.
	Life uint64
}

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
func (t *table) replace(links []netlink.Link) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := false
	seen := make(map[int32]bool, len(links))
	for _, l := range links {
		seen[int32(l.Attrs().Index)] = true
		changed = t.put(l.Attrs()) || changed
	}
	for index := range t.states {
		if !seen[index] {
			delete(t.states, index)
			changed = true
		}
	}
	return changed
}

// apply takes over one notification and reports whether anything differs.
func (t *table) apply(u netlink.LinkUpdate) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u.IfInfomsg.Family != unix.AF_UNSPEC {
		return false // of a bridge about its port, not of the device
	}
	if u.Header.Type == unix.RTM_DELLINK {
		_, existed := t.states[u.Index]
		delete(t.states, u.Index)
		return existed
	}
	return t.put(u.Attrs())
}

func (t *table) put(a *netlink.LinkAttrs) bool {
	index := int32(a.Index)
	old, existed := t.states[index]
	s := State{Name: a.Name, Admin: a.RawFlags&unix.IFF_UP != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0, Life: old.Life}
	if !existed {
		t.lives++
		s.Life = t.lives
	}
	t.states[index] = s
	return s != old
}
