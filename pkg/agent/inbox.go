package agent

import (
	"slices"
	"sync"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// message is an event on its way to the engine, and what to do once it took it.
type message struct {
	at    flows.Instant // when it was posted
	event engine.Event
	done  func()

	// Of a change of policies alone:
	from    *policy.Table  // what was in force before; nil: that is not known
	settled func(left int) // see settling; what is said of a later one is said of those before
}

// inbox holds what the engine shall take, in order of arrival; except that what policies,
// security groups and operators say goes before everything else, since a revocation must not wait for readings
// of half a million sessions. The engine copes with that: it judges by the names of ports,
// whatever else it knows of them.
type inbox struct {
	mu     sync.Mutex
	urgent []message
	others []message
	taken  int           // of others, from the front
	wake   chan struct{} // has a value when something is there
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (b *inbox) put(messages ...message) {
	if len(messages) == 0 {
		return
	}
	b.mu.Lock()
	for _, m := range messages {
		if isUrgent(m.event) {
			b.urgent = append(b.urgent, m)
		} else {
			b.others = append(b.others, m)
		}
	}
	b.mu.Unlock()
	signal(b.wake)
}

func isUrgent(ev engine.Event) bool {
	switch ev.(type) {
	case engine.PermissionsChanged, engine.PermissionsStale, engine.PermissionsEnforced, engine.PoliciesChanged, engine.Ordered:
		return true
	}
	return false
}

// portion is how much one step takes, so that none takes long: conntrack entries and
// counters, or other events, which are more work each.
const (
	portion = 8192
	event   = 8
)

func weight(ev engine.Event) int {
	switch ev := ev.(type) {
	case engine.EntriesRead:
		return event + len(ev.Entries)
	case engine.EntriesAppeared:
		return event + len(ev.Entries)
	case engine.Counted:
		return event + len(ev.Sessions)
	}
	return event
}

// take returns what is urgent, and a portion of the others; and leaves a value in wake if
// something is left.
func (b *inbox) take() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := oneChange(b.urgent)
	b.urgent = nil
	for sum := 0; b.taken < len(b.others) && sum < portion; b.taken++ {
		sum += weight(b.others[b.taken].event)
		list = append(list, b.others[b.taken])
		b.others[b.taken] = message{}
	}
	b.giveBack()
	if len(b.others) > 0 {
		signal(b.wake)
	}
	return list
}

// giveBack lets go of the room of what was taken: all of it where nothing is left, else when
// it is the larger part, since an inbox that is never empty must not grow for that.
func (b *inbox) giveBack() {
	switch {
	case b.taken == len(b.others) && cap(b.others) > 4*portion:
		b.others, b.taken = nil, 0
	case b.taken > len(b.others)/2:
		b.others, b.taken = slices.Delete(b.others, 0, b.taken), 0
	}
}

func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.urgent) + len(b.others) - b.taken
}
