package engine

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// stage is what a session means for the room in the tables of its home.
type stage uint8

const (
	outside  stage = iota // nothing
	coming                // its rules will be sent: room is held free for them
	entering              // its rules were sent
	inside                // its rules are acknowledged
	leaving               // its rules were, and are being removed
	backing               // its rules were sent, and what may be there is being removed
	stages
)

func (s *session) stageOf(st State) stage {
	switch st {
	case Resolving, Relaxing:
		return coming
	case Installing:
		return entering
	case Adopting, Verifying, Offloaded:
		return inside
	case Removing:
		if s.stage == inside || s.stage == leaving {
			return leaving
		}
		return backing
	}
	return outside
}

// room is what is known of the table of one eswitch. What it has room for are rules; a
// session has some in one or two of them.
type room struct {
	id       flows.EswitchID
	rules    [stages]int
	sessions [stages]int
	ready    []*session // nothing but the installation is left to do
	belief   belief
	window   window
	evidence evidence
	pace     pace
	shut     map[kind]*shutter
}

// home is where the rules of a session stand, by Dir; nil where that is not known.
type home [2]*room

// each yields the rooms of a home with how many rules are theirs.
func (h home) each(yield func(*room, int) bool) {
	switch {
	case h[0] == nil:
	case h[0] == h[1]:
		yield(h[0], len(h))
	default:
		_ = yield(h[0], 1) && yield(h[1], 1)
	}
}

func (h home) has(r *room) bool { return h[0] == r || h[1] == r }

// rulesPerSession is how many rules a session has: one for each direction.
const rulesPerSession = len(home{})

// used returns how many rules are there, for all that is known.
func (r *room) used() int {
	return r.rules[entering] + r.rules[inside] + r.rules[leaving] + r.rules[backing]
}

// acknowledged returns how many rules the eswitch said it has.
func (r *room) acknowledged() int { return r.rules[inside] + r.rules[leaving] }

// free returns how many more rules are believed to fit in.
func (r *room) free() int { return r.belief.limit - r.used() - r.rules[coming] }

// tight reports whether not one more session is believed to fit in.
func (r *room) tight() bool { return r.free() < rulesPerSession }

// fits reports whether one more session is believed to fit in.
func (h home) fits() bool {
	for r, rules := range h.each {
		if r.free() < rules {
			return false
		}
	}
	return true
}

// queuesUp reports whether enough sessions are on their way to an eswitch already.
func (h home) queuesUp() bool {
	for r := range h.each {
		if r.sessions[coming] >= r.window.depth() {
			return true
		}
	}
	return false
}

// over reports whether less than nothing is free, with all that were promised room.
func (h home) over() bool {
	for r := range h.each {
		if r.free() < 0 {
			return true
		}
	}
	return false
}

// packed reports whether there is no room to send one more session to.
func (h home) packed() bool {
	for r, rules := range h.each {
		if r.belief.limit-r.used() < rules {
			return true
		}
	}
	return false
}

// queuesOver reports whether more are on their way to an eswitch than should be.
func (h home) queuesOver() bool {
	for r := range h.each {
		if r.sessions[coming] > r.window.depth() {
			return true
		}
	}
	return false
}

// spans says between which eswitches paths lead, or "" where one has all of their ports.
func (g *Engine) spans(paths flows.Paths) string {
	first := g.ports[paths[flows.Orig].In].Eswitch
	for _, p := range paths {
		for _, id := range [...]flows.PortID{p.In, p.Out} {
			if other := g.ports[id].Eswitch; other != first {
				return fmt.Sprintf("eswitches %q and %q", first, other)
			}
		}
	}
	return ""
}

// book enters a session in the accounts of its home.
func (s *session) book(st stage) {
	for r, rules := range s.home.each {
		r.rules[s.stage] -= rules
		r.rules[st] += rules
		r.sessions[s.stage]--
		r.sessions[st]++
	}
	s.stage = st
}

// settleIn moves a session's bookings to another home.
func (s *session) settleIn(h home) {
	st := s.stage
	s.book(outside)
	s.home = h
	s.book(st)
}

// roomOf returns the room of an eswitch.
func (g *Engine) roomOf(id flows.EswitchID) *room {
	at, known := slices.BinarySearchFunc(g.rooms, id, func(r *room, id flows.EswitchID) int {
		return strings.Compare(string(r.id), string(id))
	})
	if !known {
		g.rooms = slices.Insert(g.rooms, at, &room{id: id, belief: newBelief(), window: newWindow(), pace: pace{at: g.now}})
	}
	return g.rooms[at]
}

// homeOf returns where the rules for packets stand that come in at two ports.
func (g *Engine) homeOf(orig, reply flows.PortID) home {
	return home{g.roomOf(g.ports[orig].Eswitch), g.roomOf(g.ports[reply].Eswitch)}
}

// assignRooms takes over which eswitch each port belongs to.
func (g *Engine) assignRooms(before map[flows.PortID]PortState) {
	sole := g.sole
	g.sole = nil
	var usable, all []flows.EswitchID
	changed := false
	for id, p := range g.ports {
		all = append(all, p.Eswitch)
		if p.Reason == "" {
			usable = append(usable, p.Eswitch)
		}
		if old, known := before[id]; known && old.Eswitch != p.Eswitch {
			changed = true
		}
	}
	slices.Sort(usable)
	if usable = slices.Compact(usable); len(usable) == 1 {
		g.sole = g.roomOf(usable[0])
	}
	if changed {
		for _, s := range g.sessions {
			if s.bound() && s.home[0] != nil {
				s.settleIn(g.homeOf(s.paths[flows.Orig].In, s.paths[flows.Reply].In))
			}
		}
	}
	if changed || g.sole != sole {
		g.requeueAll()
	}
	g.rooms = slices.DeleteFunc(g.rooms, func(r *room) bool {
		return r.deserted() && r != g.sole && !slices.Contains(all, r.id)
	})
}

// deserted reports whether nothing is left of the sessions of a room. Those that got ready
// in it wait there, whatever their home has become.
func (r *room) deserted() bool {
	return len(r.ready) == 0 && r.sessions[coming]+r.sessions[entering]+r.sessions[inside]+r.sessions[leaving]+r.sessions[backing] == 0
}

// unlimited is a capacity that nothing is known against.
const unlimited = math.MaxInt32

// Table is what the engine knows of the table of one eswitch.
type Table struct {
	Eswitch    flows.EswitchID
	Rules      int           // of ours, from when they are sent until their removal is acknowledged
	Believed   int           // rules that it is believed to hold; 0: no bound was met
	LearnedAt  flows.Instant // when Believed became what it is; 0: never
	Window     int           // sessions that may be on their way in at once
	Installing int           // sessions that are
	Installs   uint64        // sessions that got in
	PerSecond  float64       // and how many did lately
	Waiting    int           // connections that want to get in; unknown whereto ones are left out
	Refused    uint64        // installations refused for want of room
	Shut       []string      // kinds of connections that it refuses for another reason, with what it said
}

// Tables returns the tables of all eswitches by id.
func (g *Engine) Tables() []Table {
	list := make([]Table, len(g.rooms))
	for i, r := range g.rooms {
		t := Table{
			Eswitch: r.id, Rules: r.used(), LearnedAt: r.belief.learned, Window: int(r.window.size),
			Installing: r.sessions[entering], Installs: r.pace.total, PerSecond: r.pace.lately(g.now), Refused: r.belief.refused, Shut: r.shutKinds(),
		}
		if r.belief.limit != unlimited {
			t.Believed = max(1, r.belief.limit)
		}
		for _, q := range g.queues {
			if q.home.has(r) {
				t.Waiting += len(q.list)
			}
		}
		list[i] = t
	}
	return list
}

// pace is how many sessions got in per second.
type pace struct {
	total uint64
	at    flows.Instant // since when n is counted
	n     int
	last  float64 // per second, before that
}

func (p *pace) roll(now flows.Instant) {
	if gap := now.Sub(p.at); gap >= time.Second {
		p.last = float64(p.n) / gap.Seconds()
		p.at, p.n = now, 0
	}
}

// keepPace counts what gets in.
func (g *Engine) keepPace() {
	for _, r := range g.rooms {
		r.pace.roll(g.now)
	}
}

func (p pace) lately(now flows.Instant) float64 {
	p.roll(now)
	return p.last
}
