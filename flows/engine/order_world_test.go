package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// holding is an order to inspect, as the ledger knows it.
type holding struct{ since, until flows.Instant }

func (h holding) stands(now flows.Instant) bool {
	return h.since > 0 && (h.until == 0 || now < h.until)
}

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
	keys := ev.Keys
	for i := range ev.Entries {
		keys = append(keys, ev.Entries[i].Key)
	}
	for _, key := range keys {
		l.orders[w.connOf[key]] = true
		if _, known := l.present[key]; !known || w.engine.entries.get(key) == nil {
			continue
		}
		switch ev.Kind {
		case OrderRevoke:
			l.denied[key] = true
		case OrderInspect:
			h := holding{since: w.now}
			if ev.For > 0 {
				h.until = w.now.Add(ev.For)
			}
			l.held[key] = h
		case OrderOffload:
			l.release(w, key)
		}
	}
}

// release notes that nothing is held back any more, of a connection that an entry is of.
func (l *ledger) release(w *world, key flows.EntryKey) {
	delete(l.held, key)
	if e := w.engine.entries.get(key); e.session != nil {
		for _, other := range e.session.entries {
			delete(l.held, other.key)
		}
	}
}

// orderedOrders checks an installation.
func (l *ledger) orderedOrders(w *world, s *session) {
	for _, e := range s.entries {
		if l.held[e.key].stands(w.now) {
			l.fail(9, "%v is installed, and an operator wants it inspected", e.key)
		}
	}
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
		k := w.entries[key]
		if k != nil && held.stands(w.now) && w.now.Sub(max(held.since, k.markedAt)) > w.reaction() && k.markedAt < held.since && !w.cfg.Mark.Never.Matches(k.Mark) {
			l.fail(9, "an operator wants %v inspected since %v, and its mark does not tell", key, w.now.Sub(held.since))
		}
	}
	if n := len(w.engine.orders); n > w.engine.entries.size {
		l.fail(9, "%d orders about %d entries", n, w.engine.entries.size)
	}
}
