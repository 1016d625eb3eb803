package engine

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// holding is an order to inspect or to revoke, as the ledger knows it.
type holding struct {
	since, until flows.Instant
	revoked      bool
	unmarked     bool // when it was given nobody had set the mark, nor was about to
}

func (h holding) stands(now flows.Instant) bool {
	return h.since > 0 && (h.until == 0 || now < h.until)
}

// remembering is the longest time from an order, or its end, until the mark tells: some
// attempts may fail, and what became of one is seen by a dump.
func (w *world) remembering() time.Duration { return w.reaction() + 4*rememberAfter + 8*time.Second }

// shout lets an operator order something of a connection, of all its entries or of one.
func (w *world) shout(c *conn) {
	ev := Ordered{Kind: OrderKind(1 + w.rng.IntN(3)), At: w.now, Unmark: w.chance(0.3)}
	if ev.Kind == OrderRevoke && w.chance(0.5) {
		ev.Kind = OrderOffload
	}
	if ev.Kind == OrderInspect && w.chance(0.5) {
		ev.For = time.Duration(1+w.rng.IntN(5)) * time.Second
	}
	keys := c.keys
	if w.chance(0.3) {
		i := w.rng.IntN(len(keys))
		keys = keys[i : i+1]
	}
	for _, key := range keys {
		switch k := w.entries[key]; {
		case k == nil:
		case w.chance(0.5):
			ev.Entries = append(ev.Entries, k.report(w.now))
		default:
			ev.Keys = append(ev.Keys, key)
		}
	}
	w.events = append(w.events, ev)
}

// rememberOrders carries out the effect of that name.
func (w *world) rememberOrders(e Remember) {
	never := w.cfg.Mark.Never
	for _, key := range e.Entries {
		k := w.entries[key]
		if k == nil {
			continue
		}
		if k.Mark &^= never.Mask; e.Never {
			k.Mark |= never.Value
			w.bad(k)
		} else if k.Mark&0x21 == 0 && !k.finished {
			k.badSince = 0
		}
		w.events = append(w.events, EntriesRead{At: w.now, Entries: []flows.Entry{k.report(w.now)}})
	}
}

// deliverOrder notes what an operator wants from now on.
func (l *ledger) deliverOrder(w *world, ev Ordered) {
	l.told(ev.Entries)
	var keys []flows.EntryKey
	for i := range ev.Entries {
		keys = append(keys, ev.Entries[i].Key)
	}
	for _, key := range ev.Keys {
		l.orders[w.connOf[key]] = true // it may be followed by then
		l.wished[w.connOf[key]] = l.wished[w.connOf[key]] || ev.Kind == OrderOffload
		if w.engine.entries.get(key) != nil {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		c := w.connOf[key]
		l.orders[c] = true
		if ev.Kind == OrderOffload {
			l.wished[c] = true
			l.release(c)
			continue
		}
		for _, key := range l.meant(w, key) {
			l.hold(w, key, &ev)
		}
	}
}

// meant returns the entries that an order about one is about: all of its session.
func (l *ledger) meant(w *world, key flows.EntryKey) []flows.EntryKey {
	for _, s := range w.engine.sessions {
		if s.state.hasRules() && s.state != Removing && !s.nominal && slices.Contains(s.keys(), key) {
			return s.keys()
		}
	}
	return []flows.EntryKey{key}
}

// hold notes that an entry is to be kept in the slow path.
func (l *ledger) hold(w *world, key flows.EntryKey, ev *Ordered) {
	if l.held[key].revoked {
		return
	}
	h := holding{since: w.now, revoked: ev.Kind == OrderRevoke}
	if ev.For > 0 && !h.revoked {
		h.until = w.now.Add(ev.For)
	}
	never := w.cfg.Mark.Never
	if k := w.entries[key]; k != nil {
		h.unmarked = !never.Matches(k.Mark) && !never.Matches(l.marks[key].Mark)
	}
	l.held[key] = h
	l.denied[key] = l.denied[key] || h.revoked
}

// release notes that a connection is not held back any more, unless it was revoked.
func (l *ledger) release(c *conn) {
	for _, key := range c.keys {
		if !l.held[key].revoked {
			delete(l.held, key)
		}
	}
}

// orderedOrders checks an installation.
func (l *ledger) orderedOrders(w *world, s *session) {
	for _, key := range w.keysOf(s) {
		if l.held[key].stands(w.now) {
			l.fail(9, "%v is installed, and an operator wants it inspected", key)
		}
	}
}

// keysOf returns all entries of the connection that a session is of.
func (w *world) keysOf(s *session) []flows.EntryKey {
	if c := w.connOf[s.primary().key]; c != nil {
		return c.keys
	}
	return s.keys()
}

// orderedRemember checks that only connections are marked about which there was an order.
func (l *ledger) orderedRemember(w *world, e Remember) {
	for _, key := range e.Entries {
		if !l.orders[w.connOf[key]] {
			l.fail(9, "%v gets a mark, and there was no order about it", key)
		}
	}
}

// checkOrders checks that orders to inspect are obeyed at once, and in the eswitch as soon as
// can be.
func (l *ledger) checkOrders(w *world) {
	for _, s := range w.engine.sessions {
		for _, e := range s.entries {
			if s.bound() && !s.nominal && l.held[e.key].stands(w.now) {
				l.fail(9, "session %v is %s, and an operator wants it inspected", s.id, s.state)
			}
			if s.bound() && !s.nominal && l.denied[e.key] && e.ordered && w.engine.orders[e].kind == OrderRevoke {
				l.fail(3, "session %v is %s, and an operator revoked it", s.id, s.state)
			}
		}
	}
	for id, h := range w.rules {
		for _, key := range h.keys {
			if held := l.held[key]; held.stands(w.now) && w.now.Sub(w.since(h, max(held.since, h.since))) > w.reaction() {
				l.fail(9, "session %v has rules, and an operator wants %v inspected since %v", id, key, w.now.Sub(held.since))
			}
		}
	}
	for e := range w.engine.entries.all() {
		if held := l.held[e.key]; held.stands(w.now) && w.engine.orderOf(e).kind == 0 {
			l.fail(9, "%v is not held back any more", e.key)
		}
	}
	for key, held := range l.held {
		l.checkMark(w, key, held)
	}
	if n := len(w.engine.orders); n > w.engine.entries.size {
		l.fail(9, "%d orders about %d entries", n, w.engine.entries.size)
	}
}

// checkMark checks that the mark of an entry tells of an order, and of none that is over.
func (l *ledger) checkMark(w *world, key flows.EntryKey, held holding) {
	k := w.entries[key]
	if k == nil || k.markedAt >= held.since || l.closed[key] || k.TCP.State.Closing() || w.engine.entries.get(key) == nil {
		return // somebody else has written it, or nobody does any more
	}
	set := w.cfg.Mark.Never.Matches(k.Mark)
	switch {
	case held.stands(w.now):
		if age := w.now.Sub(held.since); age > w.remembering() && !set {
			l.fail(9, "an operator wants %v inspected since %v, and its mark does not tell", key, age)
		}
	case held.unmarked && set && w.now.Sub(held.until) > w.remembering():
		l.fail(9, "an operator wanted %v inspected until %v ago, and its mark still says so", key, w.now.Sub(held.until))
	}
}
