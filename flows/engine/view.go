package engine

import (
	"cmp"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// View is what the engine knows of one followed entry, or of one session with all
// its entries. It is a copy.
type View struct {
	Session flows.SessionID // 0: it has none
	State   State           // of the session
	Key     flows.EntryKey
	Zones   []flows.Zone
	Tuples  [2]flows.Tuple // by Dir, as packets come in at the ports; zero until resolved
	Verdict flows.Verdict
	Reason  flows.Reason
	Detail  string

	First   flows.Instant // when it was first seen
	Since   flows.Instant // since when Reason, or State, is so
	RetryAt flows.Instant // no new attempt before; 0 or past: at once
	Doubted flows.Instant // since when its path is in doubt; 0: it is not

	Rate      float64           // bytes per second, by whoever sees its packets
	SlowBytes uint64            // both directions, counted by conntrack
	Slow      [2]uint64         // packets by Dir, counted by conntrack
	Hardware  [2]flows.Counters // by Dir, counted by the eswitch
	InHW      bool              // hardware has all of its rules
	Paths     flows.Paths       // zero until resolved
	In        [2]flows.PortID   // by Dir, where its packets came in when that was last known; or 0
}

// Sessions returns all sessions by id.
func (g *Engine) Sessions() []View {
	list := make([]View, 0, len(g.sessions))
	for _, s := range g.sessionsInOrder() {
		list = append(list, g.view(s.primary()))
	}
	return list
}

// InHardware returns how many rules hardware has, by eswitch.
func (g *Engine) InHardware() map[flows.EswitchID]int {
	rules := make(map[flows.EswitchID]int)
	for _, s := range g.list {
		if s.inHW && s.state.allRules() {
			for r, n := range s.home.each {
				rules[r.id] += n
			}
		}
	}
	return rules
}

// EachPath calls fn for each session that is bound to a path, in no order.
func (g *Engine) EachPath(fn func(flows.SessionID, flows.Paths)) {
	for id, s := range g.sessions {
		if s.state != Resolving && s.state != Removing {
			fn(id, s.paths)
		}
	}
}

// Followed returns all followed entries, sorted by tuple and zone.
func (g *Engine) Followed() []View {
	list := make([]View, 0, g.entries.size)
	for e := range g.entries.all() {
		list = append(list, g.view(e))
	}
	slices.SortFunc(list, func(a, b View) int {
		return cmp.Or(a.Key.Tuple.Src.Compare(b.Key.Tuple.Src), a.Key.Tuple.Dst.Compare(b.Key.Tuple.Dst),
			cmp.Compare(a.Key.Tuple.SrcPort, b.Key.Tuple.SrcPort), cmp.Compare(a.Key.Tuple.DstPort, b.Key.Tuple.DstPort),
			cmp.Compare(a.Key.Tuple.Proto, b.Key.Tuple.Proto), cmp.Compare(a.Key.Zone, b.Key.Zone), cmp.Compare(a.Key.ID, b.Key.ID))
	})
	return list
}

// Used returns how many sessions there are, by state.
func (g *Engine) Used() map[State]int {
	used := make(map[State]int)
	for state, n := range g.states {
		if n > 0 {
			used[State(state)] = n
		}
	}
	return used
}

// Doubted returns how many sessions are in doubt.
func (g *Engine) Doubted() int {
	n := 0
	for _, s := range g.doubted {
		if s.doubt.first.since != 0 {
			n++
		}
	}
	return n
}

// PortUse says how many sessions a port takes part in: with rules, or without any
// yet, as all are in mode observe.
type PortUse struct{ Sessions, Candidates int }

// OnPorts returns the use of each port that has some.
func (g *Engine) OnPorts() map[flows.PortID]PortUse {
	uses := make(map[flows.PortID]PortUse)
	for _, s := range g.sessions {
		if s.state == Resolving {
			continue
		}
		for _, p := range s.paths {
			use := uses[p.In]
			if s.state.hasRules() {
				use.Sessions++
			} else {
				use.Candidates++
			}
			uses[p.In] = use
		}
	}
	return uses
}

func (g *Engine) view(e *entry) View {
	v := View{
		Key: e.key, Zones: []flows.Zone{e.key.Zone}, Verdict: e.verdict, Reason: e.reason, Detail: e.detail,
		First: e.first, Since: e.since, RetryAt: e.notBefore,
		Rate: max(e.rate, 0), SlowBytes: e.bytes, Slow: e.packets, In: e.in,
	}
	s := g.sessionOf(e)
	if s == nil {
		return v
	}
	v.Doubted = s.doubt.first.since
	v.Session, v.State, v.Since = s.id, s.state, s.since
	v.Reason, v.Rate, v.Hardware, v.InHW, v.Paths = s.reason, s.rate, s.hw, s.inHW, s.paths
	if s.state != Resolving {
		v.Tuples = s.tuples()
	}
	if s.state == Removing {
		v.Reason = s.cause
	}
	if e.session == nil {
		return v // only claimed: which zones are the session's own is not known yet
	}
	v.Zones = v.Zones[:0]
	if s.nominal {
		return v
	}
	for _, e := range s.entries {
		v.Zones = append(v.Zones, e.key.Zone)
	}
	return v
}

// Wanted returns all sessions by id, and the entries that wait to become one.
func (g *Engine) Wanted() []View {
	list := g.Sessions()
	for _, e := range g.waiting() {
		list = append(list, g.view(e))
	}
	return list
}
