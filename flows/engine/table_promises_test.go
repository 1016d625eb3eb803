package engine

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// checkTables is the part of promise 7 about each eswitch's table.
func (l *ledger) checkTables(w *world) {
	for _, t := range w.engine.Tables() {
		i := slices.IndexFunc(w.chips, func(c *chip) bool { return c.id == t.Eswitch })
		if i < 0 {
			l.fail(7, "nobody has an eswitch %q", t.Eswitch)
			continue
		}
		c := w.chips[i]
		l.checkAccounts(w, c, t)
		l.checkAttempts(w, c)
		l.checkUnlearned(w, c, t)
		if !l.sentTo[c.id] {
			continue
		}
		if t.Believed > 0 && t.Rules > t.Believed {
			l.fail(7, "eswitch %q: %d rules are sent or in, and it is believed to hold %d", c.id, t.Rules, t.Believed)
		}
		if t.Installing > t.Window {
			l.fail(7, "eswitch %q: %d sessions are on their way in, its window is %d", c.id, t.Installing, t.Window)
		}
	}
	clear(l.sentTo)
}

// checkAccounts compares what is counted with the sessions that there are, and with the
// rules that are really there.
func (l *ledger) checkAccounts(w *world, c *chip, t Table) {
	n := 0
	for _, s := range w.engine.sessions {
		if s.state >= Installing {
			n += c.rulesOn(s.paths)
		}
	}
	if n != t.Rules {
		l.fail(7, "eswitch %q: sessions have %d rules, counted %d", c.id, n, t.Rules)
	}
	if really := w.used(c) - c.foreign; really > n {
		l.fail(7, "eswitch %q has %d rules, the engine knows of %d", c.id, really, n)
	}
}

// checkAttempts bounds how often a table that stays as full as it is has to refuse.
func (l *ledger) checkAttempts(w *world, c *chip) {
	const span = 12 * time.Second
	for len(c.refusals) > 0 && w.now.Sub(c.refusals[0]) > span {
		c.refusals = c.refusals[1:]
	}
	settled := max(c.changed, c.resetAt, c.lostAt, w.upAt)
	if n := len(c.refusals); n > 12 && c.refusals[0].Sub(settled) > 2*time.Second {
		l.fail(7, "eswitch %q: %d refusals in %v", c.id, n, span)
	}
}

// checkUnlearned has a table used that has room, and something that waits for it.
func (l *ledger) checkUnlearned(w *world, c *chip, t Table) {
	free := c.capacity == 0 || w.used(c)+rulesPerSession <= c.capacity
	kept := t.Believed > 0 && t.Rules+rulesPerSession > t.Believed
	if !free || !kept || t.Waiting == 0 || t.Installing > 0 || len(w.engine.sessions) >= w.cfg.Capacity || w.ending {
		c.stuck = w.now
	}
	if w.now.Sub(max(c.stuck, w.upAt)) > (mostPatient+1)*w.cfg.Relearn+2*time.Second {
		l.fail(7, "eswitch %q has room for more than the %d rules that are believed to fit", c.id, t.Believed)
	}
}

// removing checks that nothing leaves for what is not so.
func (l *ledger) removing(w *world, e Remove) {
	s := w.engine.sessions[e.Session]
	if s.retries > 0 {
		return
	}
	h := w.rules[e.Session]
	switch e.Cause {
	case flows.Displaced:
		l.displaced = append(l.displaced, w.now)
		if w.now.Sub(s.installedAt) < measured {
			l.fail(7, "session %v is displaced %v after it got in", s.id, w.now.Sub(s.installedAt))
		}
		for w.now.Sub(l.displaced[0]) >= displaceEvery-turn {
			l.displaced = l.displaced[1:]
		}
		if len(l.displaced) > len(w.chips)+1 {
			l.fail(7, "%d sessions are displaced in a second", len(l.displaced))
		}
	case flows.NoHits:
		if h != nil && h.works() && w.now.Sub(h.since) < time.Minute {
			l.fail(4, "session %v leaves for want of hits, but it has them", s.id)
		}
	case flows.EswitchReset:
		why := false
		for r := range s.home.each {
			for _, c := range w.chips {
				recent := func(at flows.Instant) bool { return at > 0 && w.now.Sub(at) < 10*time.Second }
				why = why || c.id == r.id && (recent(c.lostAt) || recent(c.resetAt))
			}
		}
		if !why {
			l.fail(4, "session %v leaves because of a reset that was none", s.id)
		}
	}
}

// works reports whether rules see the packets that they are for.
func (h *hardware) works() bool {
	return h.conn != nil && !h.conn.wrongPath && h.lostSince == 0
}

// checkReset is the part of promise 4 about NICs that lost their rules: what is told to
// be lost leaves at once, and may return at once.
func (l *ledger) checkReset(w *world) {
	for id := range l.reset {
		for _, s := range w.engine.sessions {
			if !s.state.hasRules() || s.state == Removing || s.since >= w.now {
				continue
			}
			for r := range s.home.each {
				if r.id == id {
					l.fail(4, "session %v still has rules in eswitch %q that was reset", s.id, id)
				}
			}
		}
	}
	clear(l.reset)
	for e := range w.engine.entries.all() {
		if e.reason == flows.EswitchReset && e.notBefore > w.now {
			l.fail(4, "%v has to wait after a reset", e.key)
		}
	}
}

// checkInHW is the part of promise 4 about what hardware let go of.
func (l *ledger) checkInHW(w *world) {
	for id, h := range w.rules {
		if w.cfg.RequireHW && h.swSince > 0 && w.now.Sub(w.since(h, h.swSince)) > w.reaction() {
			l.fail(4, "session %v is not in hardware since %v", id, w.now.Sub(h.swSince))
		}
	}
}
