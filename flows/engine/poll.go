package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// poll is the turn of a session to have its conntrack entries read.
type poll struct {
	session *session
	due     flows.Instant
}

// poll orders the reads that are due, as far as the budget goes. Turns are handed
// out in a ring, so that with many sessions the interval grows for all alike.
func (g *Engine) poll() {
	for range len(g.polls) {
		turn := g.polls[0]
		s := turn.session
		if s.dead || s.state == Removing {
			g.polls = g.polls[1:]
			continue
		}
		if s.state == Offloaded && g.ended(s) {
			continue
		}
		if g.now < turn.due || !g.reads.take(float64(len(s.entries))) {
			return
		}
		g.polls = append(g.polls[1:], poll{s, g.now.Add(g.cfg.ReadInterval)})
		if s.state == Offloaded && !s.reading {
			g.readNow(s)
		}
	}
}

// readNow orders a read at once, or again after the one that is on its way, which
// may have been too early.
func (g *Engine) readNow(s *session) {
	if s.reading {
		s.readAgain = true
		return
	}
	s.reading = true
	g.emit(Read{Session: s.id, Op: s.op, Entries: s.keys()})
}

// readSoon orders a read of a session that is offloaded.
func (g *Engine) readSoon(s *session) {
	if s.state.hasRules() && s.state != Removing {
		g.readNow(s)
	}
}

// readAllSoon makes every session due at once; the budget spreads them.
func (g *Engine) readAllSoon() {
	for i := range g.polls {
		g.polls[i].due = g.now
	}
}

// sessionRead takes the answer to Read and KeepAlive.
func (g *Engine) sessionRead(ev SessionRead) {
	if s := g.sessions[ev.Session]; s != nil {
		s.reading = false
	}
	for i := range ev.Found {
		g.entryRead(ev.At, &ev.Found[i])
	}
	for _, key := range ev.Missing {
		g.entryGone(key)
	}
	s := g.sessions[ev.Session]
	if s == nil {
		return
	}
	if s.state == Removing {
		return
	}
	if ev.Err != nil {
		s.primary().detail = ev.Err.Error()
		g.remove(s, flows.KeepFailed)
		return
	}
	if s.state == Verifying && ev.Op == s.op && s.readSince(ev.At) {
		g.verified(s)
	}
	if s.readAgain || s.state == Verifying {
		s.readAgain = false
		g.readNow(s)
	}
}

// sessionEntryRead judges one entry of a session anew.
func (g *Engine) sessionEntryRead(s *session, e *entry, why flows.Reason) {
	if s.state == Removing {
		if e.denied {
			s.denied = true
		}
		return
	}
	if why != "" {
		if len(s.entries) > 1 {
			s.primary().detail = inZone(e.key.Zone)
		}
		g.remove(s, why)
		return
	}
	if s.state == Observed {
		g.observe(s, e)
		return
	}
	if s.asked() && g.whyAsked(e) == "" && e == s.primary() {
		g.remove(s, flows.Mouse)
		return
	}
	if s.state != Offloaded {
		return
	}
	g.checkHits(s)
	if s.state == Offloaded {
		g.testify(s)
	}
	if s.state == Offloaded && s.slowTotal() > s.ctPackets {
		g.noteSlowPackets(s)
		g.clearMaxAck(s)
	}
	if s.state == Offloaded {
		g.keepAlive(s)
	}
}

// observe follows a session that has no rules: the slow path still counts it.
func (g *Engine) observe(s *session, e *entry) {
	if e != s.primary() {
		return
	}
	s.rate = max(e.rate, 0)
	switch {
	case s.asked() && g.whyAsked(e) == "":
		g.remove(s, flows.Mouse)
	case s.reason == flows.Elephant:
		g.checkRate(s)
	}
}

// keepAlive asks for a refresh when hits were counted since the last one and an
// entry has used up half of its life.
func (g *Engine) keepAlive(s *session) {
	if !g.cfg.KeepAlive || s.lastHit() <= s.keptAt {
		return
	}
	timeout := g.cfg.Timeouts.Of(s.tuple.Proto)
	half := time.Duration(timeout) * time.Second / 2
	for _, e := range s.entries {
		if e.expires.Sub(g.now) <= half {
			s.keptAt = s.lastHit()
			s.reading = true
			g.counts.KeepAlives++
			g.emit(KeepAlive{Session: s.id, Op: s.op, Entries: s.keys(), Timeout: timeout})
			return
		}
	}
}

// slowGrowth is how many packets conntrack may see in a direction without a hit
// there before the rules are taken to be useless: more than fragments and stray
// control packets make.
const slowGrowth = 64

// fewReadings is how often the eswitch's counters are read without a hit before that
// says something: a reading can take long, or fail.
const fewReadings = 2

// checkHits ends a session whose rules see nothing in a direction in which
// conntrack sees packets.
func (g *Engine) checkHits(s *session) {
	for d := range s.hitAt {
		if s.hitSince[d] {
			if !s.readSince(s.hitAt[d]) {
				continue
			}
			s.hitSince[d], s.ctAtHit[d] = false, s.slowPackets(flows.Dir(d))
		}
		grown := s.slowPackets(flows.Dir(d)) - s.ctAtHit[d]
		if grown <= slowGrowth {
			s.missedAt[d] = 0
			continue
		}
		if s.missedAt[d] == 0 { // a direction that was idle may begin with that, and hits be told late
			s.missedAt[d] = g.now
		}
		if s.unmoved[d] >= fewReadings && g.now.Sub(s.missedAt[d]) >= g.cfg.NoHitsAfter {
			g.remove(s, flows.NoHits)
			return
		}
	}
}

// checkRate ends a session that stayed below the leave rate for too long.
func (g *Engine) checkRate(s *session) {
	if s.rate >= g.leaveRate(s) {
		s.slowSince = 0
		return
	}
	if s.slowSince == 0 {
		s.slowSince = g.now
	}
	if g.now.Sub(s.slowSince) >= g.cfg.Elephant.LeaveAfter {
		g.remove(s, flows.Mouse)
	}
}

// counted takes the eswitch's counters.
func (g *Engine) counted(all []flows.SessionCounters) {
	for i := range all {
		s := g.sessions[all[i].ID]
		if s == nil || !s.state.allRules() {
			continue
		}
		if g.countSession(s, all[i].Count); s.inHW && !all[i].InHW && g.cfg.RequireHW {
			g.remove(s, flows.NotInHW)
			continue
		}
		s.inHW = all[i].InHW
		if s.state == Offloaded {
			g.checkIdle(s)
		}
		if s.state == Offloaded {
			g.keepAlive(s)
		}
	}
}

func (g *Engine) countSession(s *session, count [2]flows.Counters) {
	for d := range count {
		if count[d].Packets <= s.hw[d].Packets {
			s.unmoved[d] = min(s.unmoved[d]+1, fewReadings)
			continue
		}
		s.unmoved[d] = 0
		g.counts.Offloaded.Packets += count[d].Packets - s.hw[d].Packets
		g.counts.Offloaded.Bytes += max(count[d].Bytes, s.hw[d].Bytes) - s.hw[d].Bytes
		s.hw[d] = count[d]
		s.hitAt[d], s.hitSince[d] = g.now, true
	}
	s.measure(g.now)
}

// How long the eswitch's counters are watched for a rate: until they grow, since a NIC
// refreshes them late and all at once, but at least, and at most, so long.
const (
	watchAtLeast = 1500 * time.Millisecond
	watchAtMost  = 3 * time.Second
)

// measure takes the eswitch's counters for the rate of a session.
func (s *session) measure(now flows.Instant) {
	gap, grown := now.Sub(s.hwSampled), s.hw[flows.Orig].Bytes+s.hw[flows.Reply].Bytes-s.hwBytes
	if gap < watchAtLeast || grown == 0 && gap < watchAtMost {
		return
	}
	s.rate = (s.rate + float64(grown)/gap.Seconds()) / 2
	s.hwSampled, s.hwBytes = now, s.hwBytes+grown
}

// checkIdle ends sessions that do not earn their entry of the table.
func (g *Engine) checkIdle(s *session) {
	if g.now.Sub(s.lastHit()) >= g.cfg.IdleAfter {
		g.remove(s, flows.Idle)
		return
	}
	if s.reason == flows.Elephant {
		g.checkRate(s)
	}
}
