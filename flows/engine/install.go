package engine

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

func (g *Engine) pathResolved(ev *PathResolved) {
	s := g.awaited(ev.Session, ev.Op, Resolving)
	if s == nil {
		return
	}
	reason, detail := ev.Reason, ev.Detail
	if reason == "" {
		reason, detail = g.usePath(s, ev)
	}
	switch {
	case reason != "":
		g.giveUp(s, reason, detail)
	case !g.cfg.Enforce:
		s.plain = ev.Plain
		g.enter(s, Observed)
		g.doubtEarly(s)
	default:
		s.plain = ev.Plain
		g.enter(s, Relaxing)
		g.doubtEarly(s)
		if !s.isTCP() {
			g.makeReady(s)
			return
		}
		g.emit(Relax{Session: s.id, Op: s.op, Entries: s.keys(), Step: SetLiberal})
	}
}

// usePath binds a session to its ports and entries, or says why that cannot be.
func (g *Engine) usePath(s *session, ev *PathResolved) (flows.Reason, string) {
	if reason := g.refusedPort(ev.Paths); reason != "" {
		return reason, ""
	}
	if !fit(ev.Tuples, ev.Paths) {
		return flows.PathUnknown, fmt.Sprintf("packets do not leave as %s and %s come in", ev.Tuples[flows.Reply], ev.Tuples[flows.Orig])
	}
	if reason, detail := g.join(s, ev.Tuples, ev.Stands); reason != "" {
		return reason, detail
	}
	s.tuple = ev.Tuples[flows.Orig]
	g.bind(s, ev.Paths)
	s.see(ev.DSCP)
	if c := s.home.shutFor(s.kind(), s, g.now); c != nil && g.cfg.Enforce {
		return flows.Refused, c.detail
	}
	if reason, detail := g.noteWire(s, ev.Inspected); reason != "" {
		return reason, detail
	}
	if reason, detail := g.held(s.primary()); reason != "" {
		return reason, detail
	}
	if reason, detail := g.permitted(s); reason != "" {
		return reason, detail
	}
	if reason, detail := g.decide(s); reason != "" {
		return reason, detail
	}
	if reason, detail := g.worthIt(s); reason != "" {
		return reason, detail
	}
	reason, detail := g.refusedHome(s)
	if reason == "" && g.cfg.Enforce {
		s.tryShut(s.kind(), g.now)
	}
	return reason, detail
}

func inZone(zone flows.Zone) string { return fmt.Sprintf("in zone %d", zone) }

// permits reports whether a reason leaves an entry eligible: it is about its size
// or about an attempt, not about the entry.
func permits(r flows.Reason) bool {
	switch r {
	case flows.Elephant, flows.MarkOffload, flows.OrderOffload, flows.PolicyOffload:
		return true
	}
	return judged(r) || retryable(r) // what policies say depends on the path, and is asked when that is known
}

func (g *Engine) relaxed(ev Relaxed) {
	if s := g.awaited(ev.Session, ev.Op, Relaxing); s != nil {
		if ev.Err != nil {
			g.giveUp(s, flows.RelaxFailed, ev.Err.Error())
			return
		}
		g.makeReady(s)
		return
	}
	if s := g.sessions[ev.Session]; s != nil && s.state.allRules() && s.state != Removing && ev.Err != nil {
		s.primary().detail = ev.Err.Error()
		g.remove(s, flows.RelaxFailed)
	}
}

// refusedHome says why the eswitches of a session's path cannot take it now. Where
// hardware is required, one must do all of it: a rule of one eswitch cannot send packets
// to a port of another.
func (g *Engine) refusedHome(s *session) (flows.Reason, string) {
	spans := g.spans(s.paths)
	switch {
	case !g.cfg.Enforce:
		return "", ""
	case g.cfg.RequireHW && spans != "":
		return flows.UnsupportedEswitch, spans
	case s.home.over():
		return flows.TableFull, ""
	case s.home.queuesOver():
		return flows.RateLimited, ""
	}
	return "", ""
}

// makeReady lets a session wait for its turn to be installed.
func (g *Engine) makeReady(s *session) {
	r := s.home[flows.Orig]
	r.ready = append(r.ready, s)
}

// installReady orders installations after everything else that a step was told, so
// that nothing is installed that the same step has reason to remove.
func (g *Engine) installReady() {
	for _, r := range g.rooms {
		g.installInto(r)
	}
}

func (g *Engine) installInto(r *room) {
	held := r.ready[:0]
	for i, s := range r.ready {
		reason, detail := g.barredAny(s)
		if reason == "" {
			reason, detail = g.kept(s.primary())
		}
		switch {
		case s.dead:
		case reason != "":
			g.giveUp(s, reason, detail)
		case s.home.packed():
			g.giveUp(s, flows.TableFull, "")
		case s.doubt.early:
			held = append(held, s)
		case !s.home.open():
			if s.home == (home{r, r}) { // nothing more can be sent there
				r.ready = append(held, r.ready[i:]...)
				return
			}
			held = append(held, s)
		default:
			g.install(s)
		}
	}
	clear(r.ready[len(held):])
	r.ready = held
}

// barredAny says why one of a session's entries must stay in the slow path.
func (g *Engine) barredAny(s *session) (reason flows.Reason, detail string) {
	for _, e := range s.entries {
		if reason, detail = g.barred(e); reason != "" {
			break
		}
	}
	return reason, detail
}

func (g *Engine) install(s *session) {
	if !g.stands(s) || !g.agreed(s) {
		return
	}
	g.enter(s, Installing)
	s.eswitch = s.home[flows.Orig].id
	g.polls = append(g.polls, poll{s, g.now})
	g.emit(Install{Session: s.id, Op: s.op, Eswitch: s.eswitch, Paths: s.paths, Tuples: s.tuples()})
}

// installed goes on to read the entries again: what changed between the decision
// and the installation is seen by that.
func (g *Engine) installed(ev Installed) {
	s := g.awaited(ev.Session, ev.Op, Installing)
	if s == nil {
		return
	}
	for r := range s.home.each {
		r.window.answered(ev.Took)
	}
	if ev.Reason != "" {
		if ev.Reason == flows.TableFull {
			g.noRoom(s)
		} else {
			g.counts.InstallsFailed++
		}
		if ev.Reason == flows.Refused {
			s.refused(g.now, ev.Detail)
		}
		s.primary().detail = ev.Detail
		g.remove(s, ev.Reason)
		return
	}
	g.counts.Installs++
	s.accepted()
	for r := range s.home.each {
		r.pace.n++
		r.pace.total++
	}
	s.inHW = ev.InHW
	s.hwSampled, s.keptAt = g.now, g.now
	s.hitAt, s.slowAt = [2]flows.Instant{g.now, g.now}, [2]flows.Instant{g.now, g.now}
	g.rulesAreIn(s)
}

// rulesAreIn has the entries read of a session that just got all its rules.
func (g *Engine) rulesAreIn(s *session) {
	s.installedAt = g.now
	if e := s.primary(); e.unseenFrom == 0 {
		e.unseenFrom = g.now
	}
	g.enter(s, Verifying)
	g.readNow(s)
}

// verified completes a session whose entries were found eligible after the
// installation.
func (g *Engine) verified(s *session) {
	if !g.stands(s) {
		return
	}
	if reason, detail := g.heldSince(s.primary()); reason != "" { // both sides were read at once: it shows now
		s.primary().detail = detail
		g.remove(s, flows.InspectorHolds)
		return
	}
	g.enter(s, Offloaded)
	detail := g.spans(s.paths)
	if detail != "" {
		detail += ": the kernel carries packets from one to the other"
	}
	for _, e := range s.entries {
		g.setReason(e, s.reason, detail)
	}
	s.slowFirst = s.slowTotal()
	for d := range s.ctAtHit {
		s.ctAtHit[d] = s.slowPackets(flows.Dir(d))
		s.slowSeen[d] = s.ctAtHit[d]
	}
	g.clearMaxAck(s)
}

// clearMaxAck repeats the last step of the relaxation for what conntrack has seen
// up to now.
func (g *Engine) clearMaxAck(s *session) {
	s.ctPackets = s.slowTotal()
	if s.isTCP() {
		g.emit(Relax{Session: s.id, Op: s.op, Entries: s.keys(), Step: ClearMaxAck})
	}
}

// slowTotal returns the packets that conntrack has seen, summed over zones, so that
// it grows whichever of them saw one.
func (s *session) slowTotal() uint64 {
	var n uint64
	for _, e := range s.entries {
		n += e.packets[flows.Orig] + e.packets[flows.Reply]
	}
	return n
}

// slowPackets returns the packets of a direction that conntrack has seen, in the
// zone that saw most.
func (s *session) slowPackets(d flows.Dir) uint64 {
	var n uint64
	for _, e := range s.entries {
		n = max(n, e.packets[d])
	}
	return n
}
