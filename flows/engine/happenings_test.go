package engine

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// happen makes something of what can happen happen.
func (w *world) happen() {
	if len(w.conns) < 60 && w.chance(0.2) {
		t := w.newTuple()
		if w.chance(0.5) {
			w.connect(t, t)
		} else {
			w.connect(t, w.translation(t))
		}
	}
	if len(w.conns) == 0 {
		return
	}
	c := w.conns[w.rng.IntN(len(w.conns))]
	w.changeFlows(c)
	if w.restless && w.up && !w.ending && (w.chance(0.002) || w.chance(0.03) && w.twins()) {
		w.crash()
	}
	switch w.rng.IntN(60) {
	case 21:
		if w.chance(0.6) {
			w.changeGroups(c)
		}
	case 23, 24:
		if w.chance(0.3) {
			w.shout(c)
		}
	case 22:
		if w.chance(0.15) {
			w.changePolicies(c)
		}
	case 0:
		w.finish(c, flows.TCPFinWait)
	case 1:
		w.finish(c, flows.TCPClose)
	case 2:
		c.ended = true // silently: it will time out
	case 3:
		w.mark(c, 0x10) // asked for
	case 4:
		w.mark(c, 0x20) // never
	case 5, 6:
		w.mark(c, 0x1) // denied by the CMS
	case 7:
		w.destroy(c)
	case 8:
		w.resurrect(c)
	case 9:
		w.resemble(c)
	case 10:
		c.pps, c.paceAt = [2]int{w.rng.IntN(400), w.rng.IntN(400)}, w.now
	case 11:
		w.events = append(w.events, Hint{w.anyTuple(c)}) // perhaps forged
	case 12:
		w.events = append(w.events, Sighted{w.anyTuple(c)})
	case 13:
		if w.chance(0.2) {
			w.breakPort()
		}
	case 14:
		w.repairPorts()
	case 18:
		w.events = append(w.events, w.idleDoubt())
	case 17:
		w.reopen(c)
	case 19:
		if w.chance(0.2) {
			w.remark(w.affected(c))
		}
	case 20:
		if w.chance(0.7) {
			return
		}
		p := flows.PortID(1 + w.rng.IntN(portsNum))
		w.events = append(w.events, MACAgeing{Port: p, MAC: macOf(p)})
	case 25:
		if w.chance(0.1) {
			w.changeInspector()
		}
	case 26:
		w.block()
	case 15:
		if w.faults {
			w.events = append(w.events, Lost{})
		}
	case 16:
		if w.faults && w.chance(0.1) {
			w.vanish()
		}
	}
}

// resemble begins a connection with a tuple of another one: of another tenant, on either
// side of a router, or where the port is used again.
func (w *world) resemble(c *conn) {
	switch t := w.newTuple(); {
	case w.chance(0.3):
		w.connect(c.tuple, c.far)
	case w.chance(0.3) && t.Proto == c.tuple.Proto && t.IsIPv6() == c.tuple.IsIPv6():
		w.connect(t, c.far)
	case w.chance(0.2):
		w.connect(c.far, c.far)
	case w.chance(0.3):
		w.connect(c.tuple, w.translation(c.tuple))
	default:
		w.connect(c.tuple, c.tuple)
	}
}

func (w *world) connect(tuple, far flows.Tuple) {
	if tuple == far && w.chance(0.35) {
		w.connectWire(tuple)
		return
	}
	// Half of the ports tell their zones, as with OVN; the others share a few.
	const half = portsNum / 2
	side := half * w.rng.IntN(2)
	a := w.rng.IntN(half)
	b := side + (a+1+w.rng.IntN(half-1))%half
	a += side
	c := &conn{
		tuple: tuple, far: far, ports: [2]flows.PortID{flows.PortID(a + 1), flows.PortID(b + 1)},
		pps: [2]int{w.rng.IntN(400), w.rng.IntN(400)}, wrongPath: w.chance(0.15), plain: w.chance(0.7),
	}
	zones := []flows.Zone{flows.Zone(100 + a), flows.Zone(100 + b)}
	if c.zoned = side > 0; !c.zoned {
		zones = []flows.Zone{flows.Zone(10 + w.rng.IntN(2))}
	}
	w.lead(c, zones)
	w.begin(c, 0x23)
}

// begin makes the entries of a connection, if the kernel and the ports do not take it for
// another one.
func (w *world) begin(c *conn, flags uint8) {
	if slices.ContainsFunc(w.conns, func(other *conn) bool { return !other.gone(w) && c.conflicts(other) }) {
		return
	}
	if flags == 0x23 && c.tuple.SrcPort%4 == 1 {
		flags = 0x22 // without window scaling: relaxed, it looks picked up in mid-stream
	}
	for _, at := range c.stands {
		w.addEntry(c, at, [2]uint8{flags, flags})
	}
	w.conns = append(w.conns, c)
}

// gone reports whether no entry is left of a connection.
func (c *conn) gone(w *world) bool {
	for _, key := range c.keys {
		if w.entries[key] != nil {
			return false
		}
	}
	return true
}

func (w *world) addEntry(c *conn, at flows.Stand, flags [2]uint8) {
	w.nextCT++
	k := &kernelEntry{conn: c, expires: w.now.Add(w.timeout(c))}
	k.Key = flows.EntryKey{ID: w.nextCT, Zone: at.Zone, Tuple: at.Tuple}
	k.Reply = at.Reply
	k.Status = statusOf(at) | flows.StatusConfirmed | flows.StatusSeenReply | flows.StatusAssured
	k.HasCount = true
	if at.Tuple.Proto == flows.TCP {
		k.TCP = flows.TCPInfo{State: flows.TCPEstablished, Flags: flags}
		k.maxAck = w.now
	}
	w.entries[k.Key], w.connOf[k.Key] = k, c
	c.keys = append(c.keys, k.Key)
	w.events = append(w.events, EntriesAppeared{At: w.now, Entries: []flows.Entry{k.report(w.now)}})
}

func (w *world) timeout(c *conn) time.Duration {
	return time.Duration(w.cfg.Timeouts.Of(c.tuple.Proto)) * time.Second
}

// bad remembers since when entries must not be offloaded.
func (w *world) bad(k *kernelEntry) {
	if k.badSince == 0 {
		k.badSince = w.now
	}
}

func (w *world) finish(c *conn, state flows.TCPState) {
	if c.tuple.Proto != flows.TCP {
		return
	}
	c.ended = true
	for _, key := range c.keys {
		if k := w.entries[key]; k != nil {
			k.TCP.State, k.finished = state, true
			k.expires = min(k.expires, w.now.Add(10*time.Second))
			w.bad(k)
		}
	}
	if w.chance(0.5) {
		w.events = append(w.events, Hint{w.anyTuple(c)})
	}
}

// reopen is somebody setting the state of a connection whose end was seen.
func (w *world) reopen(c *conn) {
	for _, key := range c.keys {
		if k := w.entries[key]; k != nil && w.seen.closed[key] {
			k.TCP.State = flows.TCPEstablished
			k.expires = w.now.Add(w.timeout(c))
			c.ended = false
		}
	}
}

func (w *world) mark(c *conn, mark uint32) {
	k := w.entries[c.keys[w.rng.IntN(len(c.keys))]]
	if k == nil {
		return
	}
	k.markedAt = w.now
	k.Mark = k.Mark&1 | mark // the CMS never clears its bit
	if k.Mark&0x21 != 0 {
		w.bad(k)
	} else if !k.finished {
		k.badSince = 0
	}
}

func (w *world) destroy(c *conn) {
	for _, key := range c.keys {
		w.kill(key)
	}
	c.ended = true
}

func (w *world) kill(key flows.EntryKey) {
	if w.entries[key] == nil {
		return
	}
	delete(w.entries, key)
	if !w.faults || w.chance(0.7) {
		w.events = append(w.events, EntriesGone{[]flows.EntryKey{key}})
	}
}

// resurrect is what deleting a denied entry leads to: the receiver's next packet
// makes a new one, picked up in mid-stream, with the orientation turned.
func (w *world) resurrect(c *conn) {
	if c.gone(w) || c.zoned && w.chance(0.7) {
		return
	}
	w.destroy(c)
	w.begin(w.turn(c), 0x2a)
}

func (w *world) breakPort() {
	id := flows.PortID(1 + w.rng.IntN(portsNum))
	w.ports[id] = flows.PortDown
	w.reportPorts()
}

func (w *world) repairPorts() {
	for id := range w.ports {
		w.ports[id] = ""
	}
	w.reportPorts()
}

// vanish is somebody else deleting rules.
func (w *world) vanish() {
	for _, s := range w.engine.sessionsInOrder() {
		if _, ok := w.rules[s.id]; ok {
			delete(w.rules, s.id)
			w.events = append(w.events, RulesVanished{[]flows.SessionID{s.id}})
			return
		}
	}
}

// traffic moves packets: past conntrack where rules are, else through it.
func (w *world) traffic() {
	shunted := make(map[*conn]*hardware)
	for _, h := range w.rules {
		if h.works() {
			shunted[h.conn] = h
		}
	}
	for _, c := range w.conns {
		if c.ended {
			continue
		}
		for d, pps := range c.pps {
			n := uint64(float64(pps) * turn.Seconds() * (1 + w.rng.Float64()))
			if c.blockedAt > 0 && !c.pretended {
				n = w.repeated()
			}
			if n > 0 {
				w.packets(c, shunted[c], d, n)
			}
		}
	}
}

func (w *world) packets(c *conn, h *hardware, d int, n uint64) {
	for _, key := range c.keys {
		k := w.entries[key]
		if k == nil || !w.counted(c, key, d) {
			continue
		}
		if h != nil {
			k.hwHitAt = w.now
			switch {
			case w.chance(0.0002) && n > 1:
				n = 3 * slowGrowth // a burst of fragments, say, takes the slow path beside the others
			case w.chance(0.002):
				n = 1
			default:
				continue
			}
		}
		k.Count[d].Packets += n
		k.Count[d].Bytes += n * 1400
		k.expires = w.now.Add(w.timeout(c))
		if c.tuple.Proto == flows.TCP && k.maxAck == 0 {
			k.maxAck = w.now
		}
	}
	if h != nil {
		h.count[d].Packets += n
		h.count[d].Bytes += n * 1414
	}
}

func (w *world) expire() {
	for _, k := range w.entriesInOrder() {
		if k.expires <= w.now {
			w.seen.expired(w, k)
			w.kill(k.Key)
		}
	}
	w.conns = slices.DeleteFunc(w.conns, func(c *conn) bool { return c.gone(w) })
}

// idleDoubt is a doubt that nothing has caused: about everything with more time, or about
// stations that are nobody's.
func (w *world) idleDoubt() PathsDoubted {
	if w.chance(0.5) {
		return PathsDoubted{Within: 4 * w.cfg.ValidateWithin}
	}
	return PathsDoubted{Stations: map[flows.MAC]bool{{6, 6, 6}: true}}
}
