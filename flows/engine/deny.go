package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// deny is a connection to be denied by the cloud's network service itself, as its slow path
// would with the next packet of the original direction: by its bit in the entry that stands
// in the zone of the port which revoked it. Set before the slow path enforces the change, the
// bit would be taken off again.
type deny struct {
	entry    flows.EntryKey
	end      end
	source   int
	revision uint64        // of the source, from which on it may be done
	due      flows.Instant // when it is done in any case
	tries    uint8
}

const (
	// denyAfter is how long the service's word is waited for that a change is enforced: OVN
	// gives one only when somebody asks for it, or Neutron looks after its agents.
	denyAfter = 2 * time.Second
	// denyTries is how often the bit is set until it stays.
	denyTries = 5
)

// denyAt remembers to deny a session that has, or had, rules, at each of its ends where a
// source denies it that counts its states: what others deny the slow path need not.
func (g *Engine) denyAt(s *session, against []refusal) {
	if !g.cfg.Mark.Deny || s.denied || !s.state.hasRules() {
		return
	}
	for _, r := range against {
		if r.Reason == flows.SGDenied && g.sources[r.source].revision != 0 {
			g.denyIn(s, r)
		}
	}
}

func (g *Engine) denyIn(s *session, r refusal) {
	port := g.ports[r.id]
	for _, key := range g.keysOf(s) {
		if port.HasZone && key.Zone == port.Zone {
			g.denials = append(g.denials, deny{key, r.end, r.source, g.sources[r.source].revision, g.now.Add(denyAfter), 0})
		}
	}
}

// permissionsEnforced lets denials be done that waited for it.
func (g *Engine) permissionsEnforced(ev PermissionsEnforced) {
	src := &g.sources[ev.Source]
	src.enforced = ev.Revision
}

// deny orders the denials that are due, until they are seen to have been done.
func (g *Engine) deny() {
	if len(g.denials) == 0 {
		return
	}
	effect := Deny{}
	left := g.denials[:0]
	for _, d := range g.denials {
		if g.settled(&d) {
			continue
		}
		src := &g.sources[d.source]
		if d.tries == 0 && src.enforced >= d.revision || g.now >= d.due {
			effect.Entries = append(effect.Entries, DenyEntry{d.entry, src.label})
			d.tries++
			d.due = g.now.Add(denyAfter)
		}
		left = append(left, d)
	}
	clear(g.denials[len(left):])
	if g.denials = left; len(effect.Entries) > 0 {
		g.emit(effect)
	}
}

// settled reports whether there is nothing left to do: it was done, or cannot be, or is not
// so any more.
func (g *Engine) settled(d *deny) bool {
	e := g.entries.get(d.entry)
	if e == nil || e.closed || d.tries >= denyTries && g.now >= d.due {
		return true
	}
	if isBlocked(&g.cfg, &flows.Entry{Mark: e.mark, Labels: g.labelsOf(e)}) {
		return true
	}
	src := &g.sources[d.source]
	return src.permissions != nil && src.permissions.Judge(d.end.port, d.end.direction, d.end.tuple).Reason == ""
}
