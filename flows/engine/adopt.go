package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// rulesFound takes over what an earlier agent left. What was begun before is begun
// anew, so that no connection has two sessions.
func (g *Engine) rulesFound(found []FoundSession) {
	g.cfg.AwaitRules = false
	if len(found) == 0 {
		return
	}
	g.adoptBy = g.now.Add(adoptWithin + time.Duration(len(found))*adoptEach)
	for _, s := range g.sessionsInOrder() {
		if !s.state.hasRules() {
			g.remove(s, flows.Displaced)
		}
	}
	for i := range found {
		g.adopt(&found[i])
	}
}

// adopt makes a session of rules that exist. It is confirmed like any other that is
// in doubt; until then all entries with its tuple are claimed, because only the
// answer tells which of them, in which zones, are its own.
func (g *Engine) adopt(f *FoundSession) {
	if other := g.sessions[f.ID]; other != nil {
		g.remove(other, flows.PathAmbiguous) // both are meant by one Remove
		return
	}
	s := &session{
		id: f.ID, tuple: f.Tuples[flows.Orig], paths: f.Paths, reason: flows.Elephant, claims: true, nominal: true,
		inHW: f.InHW, hw: f.Count, hwBytes: f.Count[flows.Orig].Bytes + f.Count[flows.Reply].Bytes,
		hwSampled: g.now, hitAt: [2]flows.Instant{g.now, g.now},
	}
	s.entries = []*entry{{key: flows.EntryKey{Tuple: s.tuple}, session: s, verdict: flows.Offload, reason: s.reason}}
	reason := g.whyNotAdopt(f)
	g.nextID = max(g.nextID, f.ID+1)
	g.keep(s)
	g.claim(s)
	g.enter(s, Adopting)
	g.bind(s, f.Paths)
	s.eswitch = s.home[flows.Orig].id
	if reason != "" {
		g.remove(s, reason)
		return
	}
	if e, _ := g.candidate(s.tuple, nil); e != nil {
		s.reason = cmp.Or(g.whyAsked(e), s.reason)
	}
	if g.policies != nil {
		g.decideAnew(s)
	}
	if !s.dead && s.state != Removing && g.stands(s) {
		g.doubtPath(s)
	}
}

func (g *Engine) whyNotAdopt(f *FoundSession) flows.Reason {
	switch {
	case g.stopping:
		return flows.Stopping
	case !g.cfg.Enforce && g.forced != "":
		return g.forced
	case !g.cfg.Enforce:
		return flows.ModeSwitched
	case len(g.sessions) >= g.cfg.Capacity:
		return flows.TableFull
	case g.cfg.RequireHW && !f.InHW:
		return flows.NotInHW
	case !fit(f.Tuples, f.Paths):
		return flows.PathChanged
	case slices.ContainsFunc(g.claims[f.Tuples[flows.Orig]], func(s *session) bool { return samePorts(s.paths, f.Paths) }):
		return flows.PathAmbiguous
	}
	if reason := g.refusedPort(f.Paths); reason != "" {
		return reason
	}
	if g.cfg.RequireHW && g.spans(f.Paths) != "" {
		return flows.UnsupportedEswitch
	}
	_, reason := g.candidate(f.Tuples[flows.Orig], nil)
	return reason
}

func samePorts(a, b flows.Paths) bool {
	for d := range a {
		if a[d].In != b[d].In || a[d].Out != b[d].Out {
			return false
		}
	}
	return true
}

// candidate returns an entry with exactly this tuple, one of those that are named if some
// are, that may be of a session; or why there is none.
func (g *Engine) candidate(tuple flows.Tuple, stands []flows.Stand) (*entry, flows.Reason) {
	why := flows.Gone
	for e := g.entries.group(tuple); e != nil; e = e.next {
		named := func(at flows.Stand) bool { return e.stands(&at) }
		if e.key.Tuple != tuple || len(stands) > 0 && !slices.ContainsFunc(stands, named) {
			continue
		}
		refused := g.refused(e)
		if refused == "" {
			return e, ""
		}
		why = refused
	}
	return nil, why
}

// refused returns why an entry cannot be of a session that has rules already, or "".
func (g *Engine) refused(e *entry) flows.Reason {
	switch {
	case e.closed:
		return flows.Closing
	case e.session != nil:
		return flows.ZoneUnknown
	case g.heldBack(e):
		return flows.OrderInspect
	case !e.established || e.denied || !permits(e.reason):
		return e.reason
	}
	reason, _ := g.barred(e)
	return reason
}

// takeEntries gives an adopted session the entries by which its path leads, or says why
// that cannot be.
func (g *Engine) takeEntries(s *session, stands []flows.Stand) (flows.Reason, string) {
	e, reason := g.candidate(s.tuple, stands)
	if e == nil {
		return reason, ""
	}
	g.unqueue(e)
	e.session = s
	s.entries, s.nominal = []*entry{e}, false
	return g.join(s, s.tuples(), stands)
}

// adopted goes on as after an installation.
func (g *Engine) adopted(s *session) {
	g.counts.Adopted++
	g.unclaim(s)
	s.reason = cmp.Or(g.whyAsked(s.primary()), s.reason)
	g.polls = append(g.polls, poll{s, g.now})
	g.rulesAreIn(s)
	if s.isTCP() { // again, since it may be the next connection with the same tuple
		g.emit(Relax{Session: s.id, Op: s.op, Entries: s.keys(), Step: SetLiberal})
	}
}
