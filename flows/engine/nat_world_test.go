package engine

import (
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// at returns by which tuple packets of the original direction pass a port of c.
func (c *conn) at(end int) flows.Tuple { return [2]flows.Tuple{c.tuple, c.far}[end] }

// tuples returns how packets come in, by direction.
func (c *conn) tuples() [2]flows.Tuple { return [2]flows.Tuple{c.tuple, c.far.Reverse()} }

func (c *conn) translated() bool { return c.tuple != c.far }

// anyTuple returns one of those by which somebody may have seen a packet.
func (w *world) anyTuple(c *conn) flows.Tuple {
	t := c.at(w.rng.IntN(2))
	if w.chance(0.5) {
		return t.Reverse()
	}
	return t
}

// translation returns another tuple for packets: of another source, to another
// destination, or both.
func (w *world) translation(t flows.Tuple) flows.Tuple {
	how := w.rng.IntN(3)
	w.nextTuple++
	if how != 1 {
		t.Src, t.SrcPort = address(t.IsIPv6(), 9, w.rng.IntN(3)), 0x4000|w.nextTuple
	}
	if how != 0 {
		t.Dst, t.DstPort = address(t.IsIPv6(), 8, w.rng.IntN(3)), 0x2000|w.nextTuple
	}
	return t
}

// address returns a host of a network.
func address(v6 bool, network byte, host int) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 7: network, 15: byte(host)})
	}
	return netip.AddrFrom4([4]byte{10, 0, network, byte(host)})
}

// The zones of the routers that some connections pass.
const firstRouter, routers = flows.Zone(500), 2

// lead has a connection be tracked in the zones of its ports, and, where it is translated,
// in those of one or two routers, or of one twice; or in a single zone.
func (w *world) lead(c *conn, zones []flows.Zone) {
	if len(zones) == 1 {
		c.stands = []flows.Stand{{Zone: zones[0], Tuple: c.tuple, Reply: c.far.Reverse()}}
		return
	}
	c.stands = []flows.Stand{plainAt(zones[0], c.tuple), plainAt(zones[1], c.far)}
	if !c.translated() {
		return
	}
	router := func() flows.Zone { return firstRouter + flows.Zone(w.rng.IntN(routers)) }
	middle := c.tuple
	if w.chance(0.4) {
		middle = w.translation(c.tuple)
		c.stands = append(c.stands, flows.Stand{Zone: router(), Tuple: c.tuple, Reply: middle.Reverse()})
		if w.chance(0.5) {
			c.stands = append(c.stands, plainAt(firstRouter+routers, middle))
		}
	}
	c.stands = append(c.stands, flows.Stand{Zone: router(), Tuple: middle, Reply: c.far.Reverse()})
	w.rng.Shuffle(len(c.stands), func(i, j int) { c.stands[i], c.stands[j] = c.stands[j], c.stands[i] })
}

// zoneAt returns the zone of a port that tells it.
func zoneAt(id flows.PortID) flows.Zone {
	zone, _ := zoneOf(id)
	return zone
}

func plainAt(zone flows.Zone, t flows.Tuple) flows.Stand {
	return flows.Stand{Zone: zone, Tuple: t, Reply: t.Reverse()}
}

// conflicts reports whether the kernel, or a port, would take two connections for one.
func (c *conn) conflicts(other *conn) bool {
	for i, p := range c.ports {
		for j, q := range other.ports {
			if p == q && orientationless(c.at(i)) == orientationless(other.at(j)) {
				return true
			}
		}
	}
	for _, a := range c.stands {
		for _, b := range other.stands {
			if a.Zone == b.Zone && meet(a, b) {
				return true
			}
		}
	}
	return false
}

// meet reports whether two entries have a tuple in common.
func meet(a, b flows.Stand) bool {
	for _, t := range [...]flows.Tuple{a.Tuple, a.Reply} {
		if o := orientationless(t); o == orientationless(b.Tuple) || o == orientationless(b.Reply) {
			return true
		}
	}
	return false
}

// turn returns the connection that the receiver's packets make of one whose entries are
// gone. If nobody translates them any more, they go on as they are; or they are translated
// from something else.
func (w *world) turn(c *conn) *conn {
	turned := &conn{
		tuple: c.far.Reverse(), far: c.tuple.Reverse(), ports: [2]flows.PortID{c.ports[1], c.ports[0]},
		zoned: c.zoned, pps: c.pps, inspected: c.inspected, adjusted: c.adjusted, unproven: c.unproven,
	}
	switch {
	case c.translated() && w.chance(0.3):
		zones := []flows.Zone{c.stands[0].Zone}
		if c.zoned {
			zones = []flows.Zone{zoneAt(turned.ports[0]), zoneAt(turned.ports[1])}
		}
		turned.tuple = w.translation(turned.tuple)
		w.lead(turned, zones)
		return turned
	case c.translated() && w.chance(0.5):
		turned.far = turned.tuple
		for _, at := range c.stands {
			if at.Zone < firstRouter {
				turned.stands = append(turned.stands, plainAt(at.Zone, turned.tuple))
			}
		}
		return turned
	}
	for _, at := range c.stands {
		turned.stands = append(turned.stands, flows.Stand{Zone: at.Zone, Tuple: at.Reply, Reply: at.Tuple})
	}
	return turned
}

// statusOf returns the bits that say what the kernel has translated.
func statusOf(at flows.Stand) (s flows.Status) {
	plain := at.Reply.Reverse()
	if plain.Src != at.Tuple.Src || plain.SrcPort != at.Tuple.SrcPort {
		s |= flows.StatusSrcNAT
	}
	if plain.Dst != at.Tuple.Dst || plain.DstPort != at.Tuple.DstPort {
		s |= flows.StatusDstNAT
	}
	return s
}

// bury notes the tuples of a connection whose entry is gone, if one of its entries was
// denied that can be known to belong to it.
func (l *ledger) bury(w *world, gone flows.EntryKey) {
	at, present := l.present[gone]
	if !present {
		return
	}
	kin, denied := []flows.Stand{at}, l.denied[gone]
	for i := 0; i < len(kin); i++ {
		for key, other := range l.present {
			if w.connOf[key] == w.connOf[gone] && w.engine.entries.get(key) != nil && meet(kin[i], other) && !slices.Contains(kin, other) {
				kin = append(kin, other)
				denied = denied || l.denied[key]
			}
		}
	}
	for _, at := range kin {
		if denied {
			l.buried[at.Tuple], l.buried[at.Reply.Reverse()] = true, true
		}
	}
}

// mayBe reports whether two connections have a tuple in common anywhere.
func (c *conn) mayBe(other *conn) bool {
	return slices.ContainsFunc(c.stands, func(a flows.Stand) bool {
		return slices.ContainsFunc(other.stands, func(b flows.Stand) bool { return meet(a, b) })
	})
}

// entryReply returns the reply tuple that an entry has, or had.
func (w *world) entryReply(key flows.EntryKey) flows.Tuple {
	for _, at := range w.connOf[key].stands {
		if at.Zone == key.Zone && at.Tuple == key.Tuple {
			return at.Reply
		}
	}
	return flows.Tuple{}
}
