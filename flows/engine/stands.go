package engine

import (
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// join gives a session the entries of its connection in all zones of its path. Each must be
// there and eligible, and together they must translate as the path does. Where no zone is
// known, there must be no other entry that may be of the connection.
func (g *Engine) join(s *session, tuples [2]flows.Tuple, stands []flows.Stand) (flows.Reason, string) {
	list, reason, detail := g.alone(s.primary())
	if len(stands) > 0 {
		list, reason, detail = g.standing(s, stands)
	}
	switch {
	case reason != "":
		return reason, detail
	case !lead(list, tuples[flows.Orig], tuples[flows.Reply].Reverse()):
		return flows.ZoneUnknown, fmt.Sprintf("the entries in its zones do not make %s of %s", tuples[flows.Reply].Reverse(), tuples[flows.Orig])
	}
	for _, e := range list[1:] {
		g.unqueue(e)
		e.session = s
		e.established = true // also one that was picked up: see standingAt
	}
	s.entries, s.zoned = list, len(stands) > 0
	return "", ""
}

func (g *Engine) alone(e *entry) ([]*entry, flows.Reason, string) {
	k := g.entries.kin(e.key.Tuple)
	if k.over {
		return nil, flows.ZoneUnknown, tooManyKin
	}
	for other := range k.each {
		if other != e && !other.closed {
			return nil, flows.ZoneUnknown, fmt.Sprintf("also in zone %d, and no port tells whose that is", other.key.Zone)
		}
	}
	return []*entry{e}, "", ""
}

// standing returns the entries that are named, first the one that was judged.
func (g *Engine) standing(s *session, stands []flows.Stand) ([]*entry, flows.Reason, string) {
	list, named := s.entries[:1:1], false
	for i := range stands {
		e, reason, detail := g.standingAt(s, &stands[i])
		if reason != "" {
			return nil, reason, detail
		}
		if named = named || e == list[0]; !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	if !named {
		return nil, flows.ZoneUnknown, fmt.Sprintf("the path does not lead by zone %d", list[0].key.Zone)
	}
	return list, "", ""
}

func (g *Engine) standingAt(s *session, at *flows.Stand) (*entry, flows.Reason, string) {
	e := g.entries.at(at)
	switch {
	case e == nil:
		return nil, flows.ZoneUnknown, fmt.Sprintf("no entry for %s in zone %d", at.Tuple, at.Zone)
	case g.heldBack(e):
		return nil, flows.OrderInspect, inZone(at.Zone)
	case e.session == s:
	case e.session != nil:
		return nil, flows.ZoneUnknown, fmt.Sprintf("another session uses zone %d", at.Zone)
	case e.reason == flows.Midstream && !e.denied && s.primary().established:
		// A machine that was moved here brings its connections along, and its zone picks them
		// up. Who opened them is certain where another zone has seen the handshake, and the
		// orientation there is the same (lead).
	case !e.established || e.denied || !permits(e.reason):
		return nil, e.reason, inZone(at.Zone)
	}
	if reason, _ := g.barred(e); reason != "" {
		return nil, reason, inZone(at.Zone)
	}
	return e, "", ""
}

// at returns the entry that stands somewhere and is not closing, or nil.
func (t *table) at(at *flows.Stand) *entry {
	for e := t.group(at.Tuple); e != nil; e = e.next {
		if e.stands(at) && !e.closed {
			return e
		}
	}
	return nil
}

func (e *entry) stands(at *flows.Stand) bool {
	return e.key.Zone == at.Zone && e.key.Tuple == at.Tuple && e.reply() == at.Reply
}

// lead reports whether packets of the original direction that are addressed by one tuple
// meet all of the entries on their way, and are addressed by the other in the end.
func lead(list []*entry, from, to flows.Tuple) bool {
	met := make([]bool, len(list))
	for at, next := from, 0; next >= 0; {
		from, next = at, -1
		for i, e := range list {
			switch {
			case e.key.Tuple != at || met[i]:
			case e.nat == nil:
				met[i] = true
			default:
				next = i
			}
		}
		if next >= 0 {
			met[next], at = true, list[next].leaves()
		}
	}
	return from == to && !slices.Contains(met, false)
}

// standsAt reports whether the session's entries are the given ones.
func (s *session) standsAt(stands []flows.Stand) bool {
	named := func(e *entry) bool {
		return slices.ContainsFunc(stands, func(at flows.Stand) bool { return e.stands(&at) })
	}
	for i := range stands {
		if !slices.ContainsFunc(s.entries, func(e *entry) bool { return e.stands(&stands[i]) }) {
			return false
		}
	}
	return !slices.ContainsFunc(s.entries, func(e *entry) bool { return !named(e) })
}

// fit reports whether packets of each direction go out as those of the other one come in,
// reversed.
func fit(tuples [2]flows.Tuple, paths flows.Paths) bool {
	for d := range paths {
		if paths[d].Addressed(tuples[d]) != tuples[flows.Dir(d).Opposite()].Reverse() {
			return false
		}
	}
	return true
}
