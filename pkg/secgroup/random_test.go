package secgroup_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// world draws policies and packets from domains so small that they meet.
type world struct {
	*rand.Rand
	told int // rules so far, for their names
}

func (w *world) one(n int) bool { return w.IntN(n) == 0 } // in n

func (w *world) port() flows.LogicalPort { return flows.LogicalPort(fmt.Sprint("p", w.IntN(6))) }
func (w *world) ruleID() secgroup.RuleID { return secgroup.RuleID(fmt.Sprint("r", w.IntN(24))) }
func (w *world) setID() secgroup.SetID   { return secgroup.SetID(fmt.Sprint("s", w.IntN(5))) }

func (w *world) groups() (list []secgroup.GroupID) {
	for i := range 4 {
		if w.one(2) {
			list = append(list, secgroup.GroupID(fmt.Sprint("g", i)))
		}
	}
	return list
}

func (w *world) addr(ipv6 bool) netip.Addr {
	if ipv6 && w.one(4) { // mapped IPv4, as IPv6 has it
		return netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 10, 14: byte(w.IntN(2)), 15: byte(w.IntN(6))})
	}
	if ipv6 {
		return netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(w.IntN(2)), 15: byte(w.IntN(4))})
	}
	return netip.AddrFrom4([4]byte{10, 0, byte(w.IntN(2)), byte(w.IntN(6))})
}

func (w *world) prefix() netip.Prefix {
	a := w.addr(w.one(3))
	bits := a.BitLen()
	switch w.IntN(6) {
	case 0:
		bits -= 8
	case 1:
		bits -= w.IntN(bits + 1)
	case 2:
		bits -= 1
	}
	return netip.PrefixFrom(a, bits).Masked()
}

func (w *world) prefixes(atMost int) (list []netip.Prefix) {
	for range w.IntN(atMost + 1) {
		list = append(list, w.prefix())
	}
	return list
}

func (w *world) setIDs() (list []secgroup.SetID) {
	for range 1 + w.IntN(2) {
		list = append(list, w.setID())
	}
	return list
}

func (w *world) addrs() (a secgroup.Addrs) {
	if w.one(2) {
		a.Prefixes = w.prefixes(2)
	}
	if w.one(3) {
		a.Sets = w.setIDs()
	}
	if w.one(8) {
		a.NotSets = w.setIDs()
	}
	return a
}

func (w *world) proto() flows.Proto {
	return []flows.Proto{flows.TCP, flows.TCP, flows.UDP, flows.ICMP, flows.ICMPv6, flows.GRE}[w.IntN(6)]
}

var somePorts = []uint16{0, 1, 2, 3, 8, 255, 256, 257, 2048, 2049, 65534, 65535}

func (w *world) number() uint16 { return somePorts[w.IntN(len(somePorts))] }

func (w *world) portRange() secgroup.PortRange {
	r := secgroup.PortRange{First: w.number(), Last: w.number(), Some: true}
	if r.First > r.Last && !w.one(10) {
		r.First, r.Last = r.Last, r.First
	}
	if w.one(3) {
		r.Last = r.First
	}
	return r
}

func (w *world) match() (m secgroup.Match) {
	m.Family = secgroup.Family(w.IntN(3))
	if m.HasProto = !w.one(3); m.HasProto {
		m.Proto = w.proto()
	}
	m.Remote = w.addrs()
	if w.one(4) {
		m.Local = w.addrs()
	}
	if m.HasProto && w.one(2) || w.one(20) {
		m.DstPorts = w.portRange()
	}
	if m.HasProto && w.one(6) || w.one(30) {
		m.SrcPorts = w.portRange()
	}
	return m
}

func (w *world) rule() *secgroup.Rule {
	w.told++
	r := &secgroup.Rule{
		Name:      fmt.Sprint("rule ", w.told),
		Groups:    w.groups(),
		Direction: flows.Direction(w.IntN(2)),
		Tier:      uint8(w.IntN(2)),
		Priority:  uint16(w.IntN(3)),
		Action:    secgroup.Allow,
	}
	if w.one(3) {
		r.Action = secgroup.Action(w.IntN(5))
	}
	for range w.IntN(3) {
		r.Matches = append(r.Matches, w.match())
	}
	return r
}

func (w *world) portState() *secgroup.Port {
	p := &secgroup.Port{Groups: w.groups(), Permissive: w.one(3), Open: w.one(8)}
	if w.one(3) {
		p.Addresses = w.prefixes(4)
	}
	if w.one(8) {
		p.Reason, p.Detail = flows.PortUnbound, "it is elsewhere"
	}
	return p
}

func (w *world) setChange() secgroup.SetChange {
	if w.one(8) {
		return secgroup.SetChange{Gone: true}
	}
	return secgroup.SetChange{Replace: w.one(5), Add: w.prefixes(2), Remove: w.prefixes(3)}
}

// update changes a few things.
func (w *world) update() *secgroup.Update {
	u := &secgroup.Update{
		Ports: map[flows.LogicalPort]*secgroup.Port{},
		Rules: map[secgroup.RuleID]*secgroup.Rule{},
		Sets:  map[secgroup.SetID]secgroup.SetChange{},
	}
	for range 1 + w.IntN(3) {
		switch w.IntN(8) {
		case 0:
			u.Ports[w.port()] = w.portState()
		case 1, 2:
			u.Sets[w.setID()] = w.setChange()
		case 3, 4:
			u.Rules[w.ruleID()] = nil
		default:
			u.Rules[w.ruleID()] = w.rule()
		}
		if w.one(20) {
			u.Ports[w.port()] = nil
		}
	}
	return u
}

// first is enough of everything to begin with.
func (w *world) first() *secgroup.Update {
	u := &secgroup.Update{
		Reset: true,
		Ports: map[flows.LogicalPort]*secgroup.Port{},
		Rules: map[secgroup.RuleID]*secgroup.Rule{},
		Sets:  map[secgroup.SetID]secgroup.SetChange{},
	}
	for range 8 {
		u.Ports[w.port()] = w.portState()
		u.Sets[w.setID()] = secgroup.SetChange{Add: w.prefixes(5)}
		u.Rules[w.ruleID()] = w.rule()
		u.Rules[w.ruleID()] = w.rule()
	}
	return u
}

// snapshot tells again all that n knows.
func snapshot(n *naive) *secgroup.Update {
	u := &secgroup.Update{Reset: true, Ports: n.ports, Rules: n.rules, Sets: map[secgroup.SetID]secgroup.SetChange{}}
	for id, s := range n.sets {
		var c secgroup.SetChange
		for p := range s {
			c.Add = append(c.Add, p)
		}
		u.Sets[id] = c
	}
	return u
}

// packet is one connection at one port.
type packet struct {
	port  flows.LogicalPort
	dir   flows.Direction
	tuple flows.Tuple
}

func (p packet) String() string { return fmt.Sprint(p.port, " ", p.dir, " ", p.tuple) }

func (w *world) packet() packet {
	ipv6 := w.one(3)
	return packet{w.port(), flows.Direction(w.IntN(2)), flows.Tuple{
		Src: w.addr(ipv6), Dst: w.addr(ipv6), Proto: w.proto(), SrcPort: w.number(), DstPort: w.number(),
	}}
}
