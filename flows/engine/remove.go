package engine

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// remove ends a session for the cause given, in whatever state it is.
func (g *Engine) remove(s *session, cause flows.Reason) {
	cause = g.lastWord(s, cause)
	if isDenial(cause) && s.state.hasRules() || cause == flows.Blocked || cause == flows.OrderRevoke {
		g.denyAll(s)
	}
	if s.state == Removing {
		if isDenial(cause) {
			s.cause = cause // tells more than why it was leaving already
		}
		return
	}
	s.cause = cause
	g.settle(s)
	if !s.state.hasRules() {
		g.release(s)
		return
	}
	g.counts.Removals[cause]++
	g.enter(s, Removing)
	g.emitRemove(s)
}

func (g *Engine) emitRemove(s *session) {
	g.emit(Remove{Session: s.id, Op: s.op, Eswitch: s.eswitch, Cause: s.cause})
}

// isDenial reports whether a cause revokes a permission, rather than asking for
// another look.
func isDenial(cause flows.Reason) bool {
	return cause == flows.Blocked || cause == flows.SGDenied || cause == flows.PolicyDrop || cause == flows.OrderRevoke
}

// denyAll marks what a session stands for as denied. Which entries are those of one that
// was only found is not known; then it is all that can be.
func (g *Engine) denyAll(s *session) {
	s.denied = true
	for _, e := range s.entries {
		e.denied = true
	}
	if !s.nominal {
		return
	}
	for _, e := range g.entries.along(s.tuple) {
		e.denied = e.denied || e.session == nil
	}
}

// sayDenied gives the entries that a session stood for, and that are nobody's now, the reason
// and what led to it.
func (g *Engine) sayDenied(s *session, cause flows.Reason, detail string) {
	for _, e := range g.entries.along(s.tuple) {
		if e.denied && e.session == nil {
			g.unqueue(e)
			e.verdict = flows.Inspect
			g.setReason(e, cause, detail)
		}
	}
}

// giveUp ends an attempt that has installed nothing.
func (g *Engine) giveUp(s *session, reason flows.Reason, detail string) {
	s.primary().detail = detail
	g.remove(s, reason)
}

func (g *Engine) removed(ev Removed) {
	s := g.awaited(ev.Session, ev.Op, Removing)
	if s == nil {
		return
	}
	if ev.Err != nil {
		g.counts.RemovalsFailed++
		s.primary().detail = ev.Err.Error()
		s.retryAt = g.now.Add(backoff(100*time.Millisecond, s.retries, 5*time.Second))
		s.retries++
		g.retries = append(g.retries, s)
		return
	}
	if s.isTCP() && !s.denied && s.cause != flows.Closing && s.cause != flows.Gone {
		// A packet of the slow path may have set MAXACK_SET since it was last cleared,
		// with a value that the bypass has made old.
		if keys := g.keysOf(s); len(keys) > 0 {
			g.emit(Relax{Session: s.id, Op: s.op, Entries: keys, Step: ClearMaxAck})
		}
	}
	g.release(s)
}

// retryRemovals orders failed removals again; rules may not outlive a decision.
func (g *Engine) retryRemovals() {
	g.retries = slices.DeleteFunc(g.retries, func(s *session) bool {
		if g.now < s.retryAt {
			return false
		}
		g.enter(s, Removing)
		g.emitRemove(s)
		return true
	})
}

// release gives the entries of a session that has no rules back to judgement.
func (g *Engine) release(s *session) {
	if g.lastWord(s, s.cause) == flows.PolicyDrop && s.cause != flows.PolicyDrop {
		s.cause = flows.PolicyDrop
		g.denyAll(s)
	}
	s.dead = true
	g.standOff(s)
	g.remember(s)
	s.book(outside)
	g.drop(s)
	stood := g.stood(s)
	for _, e := range s.entries {
		e.session = nil
		e.inherit(s, g.now)
		if g.entries.get(e.key) != e {
			continue // destroyed meanwhile
		}
		e.coolDown(s, stood, g.now)
		e.verdict = flows.Inspect
		if retryable(s.cause) && !e.denied {
			e.verdict = flows.Offload
		}
		if s.installedAt > 0 && reinspects(s.cause) {
			e.inspectAgain()
		}
		g.setReason(e, s.cause, e.detail)
		if g.heldBack(e) {
			g.refuse(e, flows.OrderInspect, "")
		}
		if atOnce(s.cause) && e == s.primary() {
			g.wantAgain(e)
		}
	}
	if s.nominal && isDenial(s.cause) && s.cause != flows.Blocked {
		g.sayDenied(s, s.cause, s.primary().detail)
	}
	g.unclaim(s)
}

// inherit takes over the rate that the eswitch measured, since conntrack did not see
// the packets. Where their rules were useless it has to be measured anew.
func (e *entry) inherit(s *session, now flows.Instant) {
	if s.installedAt == 0 {
		return
	}
	if e.rate = s.rate; s.cause == flows.NoHits {
		e.rate = -1
	}
	e.sampled, e.sampleBytes = now, e.bytes
}

// wantAgain lets an entry wait for its next turn that is as eligible as it was.
func (g *Engine) wantAgain(e *entry) {
	if reason, _ := g.barred(e); reason == "" && !e.closed && !e.denied {
		g.want(e, e.asked)
	}
}

// atOnce reports whether a cause is over when the rules are out.
func atOnce(cause flows.Reason) bool {
	return cause == flows.TableFull || cause == flows.RateLimited || cause == flows.EswitchReset
}

// retryable reports whether a cause is about an attempt, a port or the table, so
// that the connection itself may still be offloaded.
func retryable(cause flows.Reason) bool {
	switch cause {
	case "", flows.Elephant, flows.MarkOffload, flows.OrderOffload, flows.OrderInspect, flows.OrderRevoke, flows.PolicyOffload, flows.PolicyDrop, flows.Tombstone, flows.Gone, flows.Stopping:
		return false
	}
	for i := range checks {
		if checks[i].reason == cause {
			return false
		}
	}
	return !judged(cause)
}

// rulesVanished takes out what is left of sessions whose rules somebody else deleted.
func (g *Engine) rulesVanished(ids []flows.SessionID) {
	for _, id := range ids {
		if s := g.sessions[id]; s != nil && s.state.allRules() {
			g.remove(s, flows.RulesGone)
		}
	}
}

// sessionsInOrder returns all sessions by id.
func (g *Engine) sessionsInOrder() []*session {
	list := make([]*session, 0, len(g.sessions))
	for _, s := range g.sessions {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *session) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return list
}
