package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// entryRead takes the state of one entry as it was at or after at.
func (g *Engine) entryRead(at flows.Instant, rec *flows.Entry) {
	e := g.entries.get(rec.Key)
	if e == nil {
		if e = g.follow(at, rec); e == nil {
			return
		}
	} else if at < e.seen {
		return
	} else if e.replacedBy(rec) {
		g.entryGone(rec.Key)
		g.entryRead(at, rec)
		return
	}
	e.measure(at, rec)
	e.seen, e.missed = at, false
	e.expires = at.Add(time.Duration(rec.Timeout) * time.Second)
	g.readMarks(e, rec)
	why := g.eligible(e, rec)
	if e.session != nil {
		g.sessionEntryRead(e.session, e, why)
		return
	}
	g.judge(e, why)
	g.claimsChanged(g.claimants(e))
}

// eligible adds to Config.Eligible what only the history of an entry tells.
func (g *Engine) eligible(e *entry, rec *flows.Entry) flows.Reason {
	why := g.cfg.Eligible(rec)
	if why == flows.Closing {
		e.closed = true
	}
	switch {
	case e.closed:
		return flows.Closing
	case why == flows.Midstream && e.established:
		why = "" // the liberal flag is our own
	case why == flows.Blocked:
		e.denied = true
	case why == "":
		e.established = true
	}
	said := g.orderSays(e, why) // also of what is denied: its mark is to stay
	if e.denied && why == "" {
		return flows.Tombstone
	}
	return said
}

// follow begins to follow an entry, or returns nil where the bound is reached.
func (g *Engine) follow(at flows.Instant, rec *flows.Entry) *entry {
	if g.entries.size >= g.cfg.MaxFollow {
		g.counts.Unfollowed++
		return nil
	}
	e := &entry{
		key: rec.Key, first: at, seen: at, since: at,
		sampled: at, bytes: rec.Bytes(), sampleBytes: rec.Bytes(), rate: -1,
		reason: flows.Mouse, start: rec.Start,
	}
	if rec.HasNAT() {
		e.nat = &translation{reply: rec.Reply}
	}
	g.setMarks(e, rec)
	g.entries.add(e)
	for _, s := range g.entries.sessionsOf(rec.Key.Tuple) {
		g.appearedBeside(s)
	}
	g.counts.Followed[e.reason]++
	return e
}

// appearedBeside ends a session whose zones were assumed to be all when another
// entry with a tuple of it shows up: they may be one connection or two tenants'.
func (g *Engine) appearedBeside(s *session) {
	switch {
	case s.state == Resolving:
		g.resolve(s)
	case !s.zoned:
		g.remove(s, flows.ZoneUnknown)
	}
}

// judge decides on an entry that has no session.
func (g *Engine) judge(e *entry, why flows.Reason) {
	detail, asked := "", g.whyAsked(e)
	if why == "" {
		why, detail = g.barred(e)
	}
	if why == "" {
		why, detail = g.held(e)
	}
	if why == "" {
		why, detail = g.unwanted(e, asked)
	}
	if why == "" {
		g.want(e, asked != "")
		return
	}
	g.refuse(e, why, detail)
	e.denied = e.denied || why == flows.PolicyDrop
}

// want puts an entry on the waiting list, unless an attempt failed a moment ago;
// then the reason of that stays.
func (g *Engine) want(e *entry, asked bool) {
	if g.heldBack(e) {
		g.refuse(e, flows.OrderInspect, "")
		return
	}
	if g.policies == nil { // who returns at once was not judged by any
		g.refuse(e, flows.PolicyUnknown, "")
		return
	}
	e.verdict, e.asked = flows.Offload, asked
	if g.stopping {
		g.setReason(e, flows.Stopping, "")
		return
	}
	if g.now < e.notBefore {
		return
	}
	if g.claimed(e) {
		g.unqueue(e)
		g.setReason(e, g.wanted(e), "")
		return
	}
	g.enqueue(e)
	if why := g.obstacle(e.queue.home); e.reason != why {
		g.setReason(e, why, "")
	}
}

// refuse leaves an entry in the slow path for the reason given.
func (g *Engine) refuse(e *entry, reason flows.Reason, detail string) {
	g.unqueue(e)
	e.verdict = flows.Inspect
	switch {
	case reason == flows.Mouse && g.now < e.notBefore:
		return // why it was pulled back tells more
	case e.denied && isDenial(e.reason) && e.reason != flows.Blocked && (reason == flows.Tombstone || reason == flows.Blocked || reason == flows.MarkNever || reason == flows.OrderInspect):
		return // by which rule it was denied tells more
	}
	g.setReason(e, reason, detail)
}

func (g *Engine) setReason(e *entry, reason flows.Reason, detail string) {
	e.detail = detail
	if e.reason == reason {
		return
	}
	g.counts.Followed[e.reason]--
	g.counts.Followed[reason]++
	e.reason, e.since = reason, g.now
}

// entryGone ends everything about an entry that the kernel destroyed.
func (g *Engine) entryGone(key flows.EntryKey) {
	e := g.entries.get(key)
	if e == nil {
		return
	}
	if e.session != nil {
		g.remove(e.session, flows.Gone)
	}
	g.bury(e)
	claimants := g.claimants(e)
	g.forget(e)
	g.claimsChanged(claimants)
}

// forget stops following e. Its session, if it still has one, keeps the key until
// the rules are gone.
func (g *Engine) forget(e *entry) {
	g.unqueue(e)
	e.closed = true // should a session still have it
	g.entries.remove(e)
	g.dropLabels(e)
	g.dropOrder(e)
	g.counts.Followed[e.reason]--
}

// dumpDone forgets what a complete dump did not show. A hash table that is resized can hide
// entries: so one with a session is asked for by name first, and one that was denied, or that
// there is an order about, has to be missed twice, unless it would have expired.
func (g *Engine) dumpDone(ev DumpDone) {
	g.counts.Dumps++
	if !ev.Complete {
		return
	}
	for head := range g.entries.all() {
		if head.seen >= ev.Began {
			continue
		}
		if head.session != nil {
			g.readSoon(head.session)
			continue
		}
		if (head.denied || head.ordered) && !head.missed && g.now < head.expires {
			head.missed = true
			continue
		}
		g.entryGone(head.key)
	}
}

// hint reads the sessions of a tuple at once: a FIN or RST may have passed.
func (g *Engine) hint(tuple flows.Tuple) {
	for _, s := range g.entries.sessionsOf(tuple) {
		if s.state.hasRules() {
			g.counts.Hints++
			g.readNow(s)
		}
	}
}

// sighted lets connections that waited for evidence try again.
func (g *Engine) sighted(tuple flows.Tuple) {
	for e := range g.entries.allKin(tuple).each {
		if e.session == nil && e.verdict == flows.Offload && (e.reason == flows.PathUnknown || e.reason == flows.InspectorUnseen) {
			e.notBefore, e.fails = 0, 0
			g.want(e, e.asked)
		}
	}
}
