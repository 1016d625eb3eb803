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
	zones  []flows.Zone
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
		r.zones = c.zones
	}
	for d, t := range [2]flows.Tuple{c.tuple, c.tuple.Reverse()} {
		if !c.plain {
			t.SrcPort ^= 0x8000
			t.DstPort ^= 0x8000
		}
		for _, f := range w.pipeline {
			if f.match.Has(base[d], t) {
				f.apply(&r, d)
				break
			}
		}
	}
	for _, s := range states {
		if slices.Contains(c.zones, s.Zone) && (s.Mark|uint32(s.Labels[1]))&dropBit != 0 {
			r.reason = flows.PathDropped
		}
	}
	return r
}

func (f *flowRule) apply(r *route, d int) {
	switch {
	case f.out != 0:
		r.paths[d].Out = f.out
	case f.zone != 0 && r.zones != nil:
		r.zones = []flows.Zone{f.zone}
	default:
		r.reason = flows.PathDropped
	}
}

func (c *conn) paths() (p flows.Paths) {
	for d := range p {
		in, out := c.ports[d], c.ports[1-d]
		p[d] = flows.Path{In: in, Out: out, SrcMAC: macOf(in), DstMAC: macOf(out)}
	}
	return p
}

func (r route) equal(other route) bool {
	return r.paths == other.paths && r.reason == other.reason && slices.Equal(r.zones, other.zones)
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
		want.zones = h.conn.zones
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
		if c.tuple != e.Tuple || c.ports[0] != e.Paths[0].In || c.gone(w) {
			continue
		}
		r := w.route(c, e.States)
		ev.Zones, ev.Plain, ev.Reason = r.zones, c.plain, r.reason
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
	p, t := c.paths()[d], [2]flows.Tuple{c.tuple, c.tuple.Reverse()}[d]
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

// checkPaths is the part of promise 1 about paths: rules that do something else than
// OVS leave within the bound, whenever they came.
func (l *ledger) checkPaths(w *world) {
	bound := w.cfg.ValidateWithin + slowest + 3*turn
	if w.faults {
		bound += 8 * slowest // failed removals are repeated
	}
	for id, h := range w.rules {
		if h.conn == nil || h.conn.gone(w) {
			continue
		}
		if since := h.wrongSince(); since > 0 && w.now.Sub(w.since(h, since)) > bound {
			l.fail(1, "session %v: its path is another one since %v", id, w.now.Sub(since))
		}
	}
}

// checkLifetime is the part of promise 1 about what no event told.
func (l *ledger) checkLifetime(w *world) {
	for id, h := range w.rules {
		if age := w.now.Sub(w.since(h, h.since)); age > w.cfg.MaxLifetime+w.reaction() {
			l.fail(1, "session %v has rules since %v", id, age)
		}
	}
}

// running starts an agent when it is time.
func (w *world) running() bool {
	if !w.up && w.now >= w.startAt {
		w.start()
	}
	return w.up
}

// crash ends the agent at once: nothing that it ordered and that was not begun happens
// any more. Sometimes it is replaced in an orderly way.
func (w *world) crash() {
	if w.chance(0.3) {
		for _, j := range w.jobs {
			w.run(j)
		}
	}
	w.up, w.jobs = false, nil
	for _, s := range w.engine.sessionsInOrder() {
		if h := w.rules[s.id]; h != nil && h.conn != nil && w.chance(0.3) {
			w.replace(h.conn)
		}
	}
	w.total.add(w.engine.Counts())
	w.startAt = w.now.Add(time.Duration(w.rng.IntN(60)) * turn)
}

// replace is a connection that ends and is followed at once by one with the same tuple.
func (w *world) replace(c *conn) {
	w.destroy(c)
	next := &conn{tuple: c.tuple, ports: c.ports, zones: c.zones, zoned: c.zoned, pps: c.pps, plain: c.plain}
	for _, zone := range c.zones {
		w.addEntry(next, zone, c.tuple, [2]uint8{0x23, 0x23})
	}
	w.conns = append(w.conns, next)
}

// twins reports whether a connection with rules has the tuple of another one.
func (w *world) twins() bool {
	for _, h := range w.rules {
		for _, c := range w.conns {
			if h.conn != nil && c != h.conn && c.tuple == h.tuple && !h.conn.gone(w) && !c.gone(w) {
				return true
			}
		}
	}
	return false
}

// start begins anew with what is there.
func (w *world) start() {
	w.agents++
	cfg := w.cfg
	cfg.FirstSession = flows.SessionID(w.rng.IntN(1000))
	w.engine, w.up, w.seen = New(cfg), true, newLedger()
	w.events, w.dumping, w.dumpAt = nil, nil, w.now.Add(2500*time.Millisecond)
	w.reportPorts()
	ev := EntriesRead{At: w.now}
	for _, k := range w.entriesInOrder() {
		if k.finished && !k.TCP.State.Closing() { // reopened: who was not there cannot know
			if k.finished = false; k.Mark&0x21 == 0 {
				k.badSince = 0
			}
		}
		ev.Entries = append(ev.Entries, k.report(w.now))
	}
	w.events = append(w.events, ev, DumpDone{Began: w.now, Complete: true})
	w.findAt = w.now.Add(time.Duration(w.rng.IntN(4)) * turn)
}

// find tells a new agent of the rules.
func (w *world) find() {
	if w.findAt == 0 || w.now < w.findAt {
		return
	}
	w.findAt, w.upAt = 0, w.now
	var ev RulesFound
	for id, h := range w.rules {
		w.attribute(h)
		ev.Sessions = append(ev.Sessions, FoundSession{ID: id, Tuple: h.tuple, Paths: h.paths, Count: h.count})
	}
	slices.SortFunc(ev.Sessions, func(a, b FoundSession) int { return int(a.ID) - int(b.ID) })
	w.events = append(w.events, ev)
}

// adopted reports whether rules are of an earlier agent.
func (w *world) adopted(h *hardware) bool { return h.since < w.upAt }

// since returns when something about rules began that the present agent must have
// come to know: not before it had the time to look at those that it found.
func (w *world) since(h *hardware, at flows.Instant) flows.Instant {
	if !w.adopted(h) {
		return at
	}
	if s := w.engine.sessions[h.id]; s != nil && s.installedAt > 0 {
		return max(at, s.installedAt)
	}
	return max(at, w.upAt.Add(adoptWithin))
}

// checkOnce is the part of promise 5 about restarts: no connection has rules twice.
func (l *ledger) checkOnce(w *world) {
	of := make(map[*conn]flows.SessionID)
	for id, h := range w.rules {
		if other := of[h.conn]; h.conn != nil && other != 0 {
			l.fail(5, "%v has the rules of two sessions, %v and %v", h.tuple, id, other)
		}
		of[h.conn] = id
	}
}

// checkAttributed is the part of promise 1 about whose entries are looked at.
func (l *ledger) checkAttributed(w *world) {
	for id, h := range w.rules {
		s := w.engine.sessions[id]
		if s == nil || s.nominal || h.conn == nil {
			continue
		}
		for _, e := range s.entries {
			if k := w.entries[e.key]; k != nil && k.conn != h.conn && s.state == Offloaded {
				l.fail(1, "session %v is judged by %v, which is another connection's", id, e.key)
			}
		}
	}
}
