package engine

import "github.com/flowshunt/flowshunt/flows"

// checkPaths is the part of promise 1 about paths: rules that do something else than
// OVS leave within the bound, whenever they came.
func (l *ledger) checkPaths(w *world) {
	bound := w.cfg.ValidateWithin + slowest + 3*turn
	if w.faults {
		bound += 8 * slowest // failed removals are repeated
	}
	for id, h := range w.rules {
		if h.conn == nil || h.conn.gone(w) {
			continue
		}
		if since := h.wrongSince(); since > 0 && w.now.Sub(w.since(h, since)) > bound {
			l.fail(1, "session %v: its path is another one since %v", id, w.now.Sub(since))
		}
	}
}

// checkLifetime is the part of promise 1 about what no event told.
func (l *ledger) checkLifetime(w *world) {
	for id, h := range w.rules {
		if age := w.now.Sub(w.since(h, h.since)); age > w.cfg.MaxLifetime+w.reaction() {
			l.fail(1, "session %v has rules since %v", id, age)
		}
	}
}

// checkOnce is the part of promise 5 about restarts: no connection has rules twice.
func (l *ledger) checkOnce(w *world) {
	of := make(map[*conn]flows.SessionID)
	for id, h := range w.rules {
		if other := of[h.conn]; h.conn != nil && other != 0 {
			l.fail(5, "%v has the rules of two sessions, %v and %v", h.tuples[0], id, other)
		}
		of[h.conn] = id
	}
}

// checkAttributed is the part of promise 1 about whose entries are looked at.
func (l *ledger) checkAttributed(w *world) {
	for id, h := range w.rules {
		s := w.engine.sessions[id]
		if s == nil || s.nominal || h.conn == nil {
			continue
		}
		for _, e := range s.entries {
			if k := w.entries[e.key]; k != nil && k.conn != h.conn && s.state == Offloaded {
				l.fail(1, "session %v is judged by %v, which is another connection's", id, e.key)
			}
		}
	}
}
