package model

import (
	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

// AddLink makes a port appear.
func (m *Model) AddLink(link int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.links[link] = false
}

// RemoveLink makes a port vanish, with the rules that take packets in there, as
// deleting a network device does.
func (m *Model) RemoveLink(link int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.links, link)
	for ref := range m.rules {
		if ref.Link == link {
			m.delete(ref)
		}
	}
}

// Hit counts packets and bytes for all rules of one direction of a session. It
// reports whether there are any.
func (m *Model) Hit(id flows.SessionID, dir flows.Dir, packets, bytes uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	hit := false
	for _, e := range m.rules {
		if e.session == id && e.rule.Dir == dir {
			e.count.Packets += packets
			e.count.Bytes += bytes
			hit = true
		}
	}
	return hit
}

// Vanish removes the rules of one direction of a session behind the back of
// whoever installed them. It reports whether there were any.
func (m *Model) Vanish(id flows.SessionID, dir flows.Dir) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	gone := false
	for ref, e := range m.rules {
		if e.session == id && e.rule.Dir == dir {
			gone = m.delete(ref) || gone
		}
	}
	return gone
}

// Delete removes one rule behind the back of whoever installed it, and reports whether
// it was there.
func (m *Model) Delete(ref eswitch.Ref) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.delete(ref)
}

// Clear removes all rules of a port behind the back of whoever installed them, as who
// replaces its clsact does.
func (m *Model) Clear(link int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for ref := range m.rules {
		if ref.Link == link {
			m.delete(ref)
		}
	}
}

// Len returns the number of rules, guards among them.
func (m *Model) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rules)
}

// LeaveHardware makes the rules of a port stay without hardware, as turning the port's
// hw-tc-offload off does.
func (m *Model) LeaveHardware(link int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for ref, e := range m.rules {
		e.software = e.software || ref.Link == link
	}
}
