package engine

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// flowRule is an OpenFlow flow that does something else with some packets than to
// forward them: another port, another zone, or, with neither, dropping them.
type flowRule struct {
	match flows.PacketMatch
	out   flows.PortID
	zone  flows.Zone
	at    flows.Instant // when it is added
}

// route is what OVS does with established packets of a connection.
type route struct {
	paths  flows.Paths
	stands []flows.Stand
	reason flows.Reason
}

// routed is a route and since when the engine could know of it.
type routed struct {
	route
	at flows.Instant
}

func macOf(p flows.PortID) flows.MAC { return flows.MAC{2, 0, 0, 0, 0, byte(p)} }

// dropBit in a mark, or in the second byte of labels, has the pipeline drop packets.
const dropBit = 0x40

// route composes what OVS does, given what it sees of the connection in its zones.
func (w *world) route(c *conn, states []flows.ZoneState) route {
	base := c.paths()
	r := route{paths: base}
	if c.zoned {
		r.stands = c.stands
	}
	for d, t := range c.tuples() {
		if !c.plain {
			t.SrcPort ^= 0x8000
			t.DstPort ^= 0x8000
		}
		for _, f := range w.pipeline {
			if f.match.Has(base[d], t) {
				f.apply(&r, d, c)
				break
			}
		}
	}
	for _, s := range states {
		if slices.Contains(c.stands, s.Stand()) && (s.Mark|uint32(s.Labels[1]))&dropBit != 0 {
			r.reason = flows.PathDropped
		}
	}
	return r
}

func (f *flowRule) apply(r *route, d int, c *conn) {
	switch {
	case f.out != 0:
		r.paths[d].Out = f.out
	case f.zone != 0 && r.stands != nil:
		r.stands = []flows.Stand{{Zone: f.zone, Tuple: c.tuple, Reply: c.far.Reverse()}}
	default:
		r.reason = flows.PathDropped
	}
}

func (c *conn) paths() (p flows.Paths) {
	for d := range p {
		in, out := c.ports[d], c.ports[1-d]
		p[d] = flows.Path{In: in, Out: out, Frame: flows.Frame{SrcMAC: macOf(in), DstMAC: macOf(out)}}
		if c.translated() {
			p[d].Change = flows.ChangeTo(p[d].Frame, p[d].Frame, 0, c.tuples()[1-d].Reverse())
		}
	}
	return p
}

func (r route) equal(other route) bool {
	return r.paths == other.paths && r.reason == other.reason && slices.Equal(r.stands, other.stands)
}

// noteRoutes remembers how the connections are routed, by all that the engine was told.
func (w *world) noteRoutes() {
	for _, c := range w.conns {
		var states []flows.ZoneState
		for _, key := range c.keys {
			states = append(states, w.seen.marks[key])
		}
		r := w.route(c, states)
		if n := len(c.routes); n == 0 || !c.routes[n-1].equal(r) {
			c.routes = append(c.routes, routed{r, w.now})
		}
	}
}

// wrongSince returns since when rules do something else than OVS would do; 0: they
// do the same.
func (h *hardware) wrongSince() (since flows.Instant) {
	want := route{paths: h.paths}
	if h.conn.zoned {
		want.stands = h.conn.stands
	}
	for _, r := range slices.Backward(h.conn.routes) {
		if r.equal(want) {
			break
		}
		since = r.at
	}
	return since
}

// validate answers truly, or, rarely, that it cannot tell.
func (w *world) validate(e Validate, fails bool) Validated {
	ev := Validated{Session: e.Session, Op: e.Op}
	for _, c := range w.conns {
		if c.tuples() != e.Tuples || c.ports[0] != e.Paths[0].In || c.gone(w) {
			continue
		}
		r := w.route(c, e.States)
		ev.Stands, ev.Plain, ev.Reason = r.stands, c.plain, r.reason
		if r.reason == "" && r.paths != e.Paths {
			ev.Reason = flows.PathChanged
		}
		if fails {
			ev.Reason = flows.PathUnknown
		}
		return ev
	}
	ev.Reason = flows.PathUnknown
	return ev
}

// pending stands for the job that delivers what another one finds out.
type pending struct{ delivery *job }

func (pending) event() {}

// look finds an answer out, to be delivered later, or delivers it.
func (w *world) look(j *job, answer func() Event) {
	if p, looking := j.answer.(pending); looking {
		p.delivery.answer = answer()
		return
	}
	if j.answer == nil {
		j.answer = answer()
	}
	w.events = append(w.events, j.answer)
}

// affected returns a connection that a change of OVS would hurt: that has rules, or is
// about to get some; or, where there is none, any.
func (w *world) affected(c *conn) *conn {
	var hurt []*conn
	for _, s := range w.engine.sessionsInOrder() {
		if h := w.rules[s.id]; h != nil && h.conn != nil {
			hurt = append(hurt, h.conn)
		} else if k := w.entries[s.primary().key]; k != nil {
			hurt = append(hurt, k.conn, k.conn, k.conn)
		}
	}
	if len(hurt) == 0 || w.chance(0.2) {
		return c
	}
	return hurt[w.rng.IntN(len(hurt))]
}

// changeFlows is somebody reprogramming OVS, mostly for others.
func (w *world) changeFlows(c *conn) {
	unrelated := flowRule{match: flows.PacketMatch{SrcPort: 0x7fff, SrcPortMask: 0xffff}}
	switch w.rng.IntN(80) {
	case 0, 1, 2, 3, 4:
		w.announce(unrelated.match)
	case 5:
		if w.chance(0.1) {
			w.events = append(w.events, PathsDoubted{})
		}
	case 6, 7:
		if !w.restless {
			return
		}
		f := flowRule{match: w.randomMatch(w.affected(c))}
		switch w.rng.IntN(3) {
		case 0:
			f.out = flows.PortID(1 + w.rng.IntN(portsNum))
		case 1:
			f.zone = 900
		}
		if f.at = w.now; w.chance(0.5) { // the second of two changes
			w.announce(f.match)
			f.at = w.now.Add(time.Duration(w.rng.IntN(10)) * turn)
		}
		w.planned = append(w.planned, f)
	case 8, 9, 10:
		if n := len(w.pipeline); w.rng.IntN(4) < n {
			i := w.rng.IntN(n)
			w.announce(w.pipeline[i].match)
			w.pipeline = slices.Delete(w.pipeline, i, i+1)
		}
	}
	w.planned = slices.DeleteFunc(w.planned, func(f flowRule) bool {
		if f.at > w.now {
			return false
		}
		w.pipeline = append(w.pipeline, f)
		w.announce(f.match)
		return true
	})
}

func (w *world) randomMatch(c *conn) flows.PacketMatch {
	d := w.rng.IntN(2)
	p, t := c.paths()[d], c.tuples()[d]
	if !c.plain {
		t.SrcPort ^= 0x8000
		t.DstPort ^= 0x8000
	}
	m := flows.PacketMatch{SrcPort: t.SrcPort, SrcPortMask: 0xffff, DstPort: t.DstPort, DstPortMask: 0xffff}
	switch w.rng.IntN(3) {
	case 0:
		m.In = p.In
	case 1:
		m.DstMAC, m.DstMask = p.DstMAC, flows.MAC{255, 255, 255, 255, 255, 255}
	}
	return m
}

// announce tells of a change, more or less exactly, but always enough.
func (w *world) announce(m flows.PacketMatch) {
	var ev PathsDoubted
	if m.In != 0 && w.chance(0.5) {
		ev.Ports = []flows.PortID{m.In}
	}
	if w.chance(0.95) {
		ev.Matches = []flows.PacketMatch{{In: 99}, m}
	}
	w.events = append(w.events, ev)
}

// remark is a CMS changing what its pipeline matches, or taking that back.
func (w *world) remark(c *conn) {
	k := w.entries[c.keys[w.rng.IntN(len(c.keys))]]
	switch {
	case k == nil:
	case w.chance(0.5):
		k.Mark ^= dropBit
	default:
		k.Labels[1] ^= dropBit
	}
}
