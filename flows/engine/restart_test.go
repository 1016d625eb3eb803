package engine

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// running starts an agent when it is time.
func (w *world) running() bool {
	if !w.up && w.now >= w.startAt {
		w.start()
	}
	return w.up
}

// crash ends the agent at once: nothing that it ordered and that was not begun happens
// any more. Sometimes it is replaced in an orderly way.
func (w *world) crash() {
	if w.chance(0.3) {
		for _, j := range w.jobs {
			w.run(j)
		}
	}
	w.up, w.jobs = false, nil
	for _, s := range w.engine.sessionsInOrder() {
		if h := w.rules[s.id]; h != nil && h.conn != nil && !w.quiet && w.chance(0.7) {
			w.mark(h.conn, 0x10<<w.rng.IntN(2)) // in one of its entries: asked for, or never
		}
		if h := w.rules[s.id]; h != nil && h.conn != nil && w.chance(0.3) {
			w.replace(h.conn)
		}
		if h := w.rules[s.id]; h != nil && h.conn != nil && !w.quiet && w.chance(0.1) {
			w.denyMeanwhile(h.conn)
		}
	}
	w.total.add(w.engine.Counts())
	w.startAt = w.now.Add(time.Duration(w.rng.IntN(60)) * turn)
}

// replace is a connection that ends and is followed at once by one with the same tuple.
func (w *world) replace(c *conn) {
	w.destroy(c)
	w.begin(&conn{tuple: c.tuple, far: c.far, ports: c.ports, stands: c.stands, zoned: c.zoned, pps: c.pps, plain: c.plain, inspected: c.inspected}, 0x23)
}

// twins reports whether a connection with rules has the tuple of another one.
func (w *world) twins() bool {
	for _, h := range w.rules {
		if h.conn != nil && !h.conn.gone(w) && w.hasTwin(h) {
			return true
		}
	}
	return false
}

func (w *world) hasTwin(h *hardware) bool {
	for _, c := range w.conns {
		if c != h.conn && c.tuple == h.tuples[0] && c.ports[0] != h.paths[0].In && !c.gone(w) {
			return true
		}
	}
	return false
}

// start begins anew with what is there.
func (w *world) start() {
	w.agents++
	cfg := w.cfg
	cfg.FirstSession = flows.SessionID(w.rng.IntN(1000))
	w.engine, w.up, w.seen = New(cfg), true, newLedger()
	for _, c := range w.conns {
		c.shown = [2]int{} // to this one
	}
	w.slowSieve()
	w.events, w.dumping, w.dumpAt = nil, nil, w.now.Add(2500*time.Millisecond)
	w.reportPorts()
	w.tellGroups()
	w.tellPolicies()
	w.tellAt = w.now
	ev := EntriesRead{At: w.now}
	for _, k := range w.entriesInOrder() {
		if k.finished && !k.TCP.State.Closing() { // reopened: who was not there cannot know
			if k.finished = false; k.Mark&0x21 == 0 {
				k.badSince = 0
			}
		}
		ev.Entries = append(ev.Entries, k.report(w.now))
	}
	w.events = append(w.events, ev, DumpDone{Began: w.now, Complete: true})
	w.findAt = w.now.Add(time.Duration(w.rng.IntN(4)) * turn)
}

// find tells a new agent of the rules.
func (w *world) find() {
	if w.findAt == 0 || w.now < w.findAt {
		return
	}
	w.findAt, w.upAt = 0, w.now
	var ev RulesFound
	for id, h := range w.rules {
		w.attribute(h)
		ev.Sessions = append(ev.Sessions, FoundSession{ID: id, Tuples: h.tuples, Paths: h.paths, Count: h.told, InHW: h.swSince == 0})
	}
	slices.SortFunc(ev.Sessions, func(a, b FoundSession) int { return int(a.ID) - int(b.ID) })
	w.events = append(w.events, ev)
}

// adopted reports whether rules are of an earlier agent.
func (w *world) adopted(h *hardware) bool { return h.since < w.upAt }

// since returns when something about rules began that the present agent must have
// come to know: not before it had the time to look at those that it found.
func (w *world) since(h *hardware, at flows.Instant) flows.Instant {
	if !w.adopted(h) {
		return at
	}
	if s := w.engine.sessions[h.id]; s != nil && s.installedAt > 0 {
		return max(at, s.installedAt)
	}
	return max(at, w.upAt.Add(adoptWithin))
}
