package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// tombstones remember tuples whose entry was denied and is gone. Whatever traffic
// is left of such a connection can make a new entry in the other orientation, which
// other permissions may cover; it must not be offloaded again before a fresh
// handshake was seen.
type tombstones struct {
	expires map[flows.Tuple]flows.Instant // by the tuple that was denied
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

func (t *tombstones) bury(denied flows.Tuple, now flows.Instant) {
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
	for _, denied := range [...]flows.Tuple{e.key.Tuple, e.key.Tuple.Reverse()} {
		if now < t.expires[denied] && !e.freshAfter(denied) {
			return true
		}
	}
	return false
}

// freshAfter reports whether e was made by more than what is left of the
// connection that had the tuple denied: for TCP by a handshake. Other protocols have
// none; there, an entry in the orientation that was denied has passed the slow
// path's judgement anew.
func (e *entry) freshAfter(denied flows.Tuple) bool {
	if e.key.Tuple.Proto == flows.TCP {
		return e.established
	}
	return e.key.Tuple == denied
}

// tombstoned reports whether an entry must stay in the slow path because of
// another one with its tuple that was denied, whether that is gone or not.
func (g *Engine) tombstoned(e *entry) bool {
	for other := g.entries.group(e.key.Tuple); other != nil; other = other.next {
		if other != e && other.denied && !e.freshAfter(other.key.Tuple) {
			return true
		}
	}
	return g.tombstones.covers(e, g.now)
}
