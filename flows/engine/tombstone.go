package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// tombstones remember tuples of connections that were denied and are gone. Whatever
// traffic is left of such a connection can make a new entry in the other orientation,
// which other permissions may cover; it must not be offloaded again before a fresh
// handshake was seen.
type tombstones struct {
	expires map[flows.Tuple]flows.Instant // by the tuple that was denied, in the original direction
	order   []grave                       // oldest first, for the bound
}

type grave struct {
	tuple   flows.Tuple
	expires flows.Instant
}

const (
	// tombstoneLife bounds how long one counts: longer than any conntrack timeout
	// short of an established TCP connection's.
	tombstoneLife = time.Hour
	// maxTombstones bounds their number; past it the oldest goes.
	maxTombstones = 1 << 16
)

// burySeldom is for how long a grave is not renewed: the entries of one connection go at
// about the same time.
const burySeldom = time.Minute

func (t *tombstones) bury(denied flows.Tuple, now flows.Instant) {
	if t.expires[denied].Sub(now) > tombstoneLife-burySeldom {
		return
	}
	g := grave{denied, now.Add(tombstoneLife)}
	t.expires[denied] = g.expires
	t.order = append(t.order, g)
	if len(t.order) > maxTombstones {
		oldest := t.order[0]
		t.order = t.order[1:]
		if t.expires[oldest.tuple] == oldest.expires {
			delete(t.expires, oldest.tuple)
		}
	}
}

// covers reports whether an entry must not be offloaded because of a tombstone.
func (t *tombstones) covers(e *entry, now flows.Instant) bool {
	if len(t.expires) == 0 {
		return false
	}
	for _, tuple := range e.tuples() {
		if now < t.expires[tuple] && !e.freshAfter(false) || now < t.expires[tuple.Reverse()] && !e.freshAfter(true) {
			return true
		}
	}
	return false
}

// tuples returns by which packets of the original direction come to the zone and leave
// it, where that is not the same.
func (e *entry) tuples() []flows.Tuple {
	if e.nat == nil {
		return []flows.Tuple{e.key.Tuple}
	}
	return []flows.Tuple{e.key.Tuple, e.leaves()}
}

// freshAfter reports whether e was made by more than what is left of a connection that
// was denied: for TCP by a handshake. Other protocols have none; there, an entry whose
// original direction was not turned has passed the slow path's judgement anew.
func (e *entry) freshAfter(turned bool) bool {
	if e.key.Tuple.Proto == flows.TCP {
		return e.established
	}
	return !turned
}

// barred says why an entry must stay in the slow path because of others that may be of its
// connection, or "".
func (g *Engine) barred(e *entry) (flows.Reason, string) {
	k := g.entries.kin(e.key.Tuple)
	switch {
	case k.over: // one of those that are not looked at may be denied
		return flows.ZoneUnknown, tooManyKin
	case g.tombstoned(e, &k):
		return flows.Tombstone, ""
	}
	return "", ""
}

// tombstoned reports whether that is because of one that was denied, whether it is gone or
// not.
func (g *Engine) tombstoned(e *entry, k *kin) bool {
	for other, turned := range k.each {
		if other != e && other.denied && !e.freshAfter(turned) {
			return true
		}
	}
	return g.tombstones.covers(e, g.now)
}

// bury makes tombstones of what goes: of all tuples of a connection as soon as its first
// entry goes, since the others go in any order.
func (g *Engine) bury(gone *entry) {
	all, denied := g.entries.allKin(gone.key.Tuple), false
	for e := range all.each {
		denied = denied || e.denied
	}
	if !denied {
		return
	}
	for e := range all.each {
		for _, tuple := range e.tuples() {
			g.tombstones.bury(tuple, g.now)
		}
	}
}
