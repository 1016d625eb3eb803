package ovn

import (
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// packet is one that leaves an instance's port or reaches it.
type packet struct {
	direction    flows.Direction
	port         string // the instance's
	src, dst     netip.Addr
	proto        flows.Proto
	sport, dport uint16 // or type and code of ICMP
}

// world is what matches can refer to.
type world struct {
	groups map[string][]string       // ports by port group
	sets   map[string][]netip.Prefix // by address set
}

func (w *world) kind(name string) setKind {
	if _, ok := w.sets[name]; !ok {
		return setKind{}
	}
	return w.set(name).kind
}

func (w *world) content(name string, f secgroup.Family) (spans, bool) {
	_, ok := w.sets[name]
	return w.set(name).spans(f), ok
}

func (w *world) set(name string) *addressSet {
	var addresses []string
	for _, p := range w.sets[name] {
		addresses = append(addresses, p.String())
	}
	return newAddressSet(addresses)
}

// holds evaluates a match by what ovn-sb(5) says of it: the fields of the packet, one after
// the other, with what they imply. It is false for all that the judged packet has not.
func (w *world) holds(e expr, p *packet) bool {
	switch e := e.(type) {
	case boolean:
		return bool(e)
	case *logic:
		for _, o := range e.operands {
			if w.holds(o, p) == e.or {
				return e.or
			}
		}
		return !e.or
	case *comparison:
		return w.compare(e, p)
	}
	panic("not evaluated")
}

func (w *world) compare(c *comparison, p *packet) bool {
	s := c.field.symbol
	if s.predicate != nil {
		return w.holds(s.predicate, p) == c.holds(small(1))
	}
	if s.width == 0 {
		return s.name == "inport" == (p.direction == flows.Egress) && w.isPort(c, p.port)
	}
	var values []constant
	some := false
	for _, v := range c.values {
		if v.format != setName {
			values, some = append(values, v), true
			continue
		}
		for _, member := range w.sets[v.name] {
			m, err := parseNumber(member.String())
			if err != nil {
				panic(err)
			}
			values, some = append(values, m), true
		}
	}
	if !some {
		return c.op == unequal
	}
	value, has := fieldOf(s.name, p)
	value = value.shr(c.field.ofs).and(ones(c.field.bits))
	return has && (&comparison{c.field, c.op, values, true}).holds(value)
}

func (w *world) isPort(c *comparison, port string) bool {
	for _, v := range c.values {
		if v.format == text && v.name == port || v.format == portName && slices.Contains(w.groups[v.name], port) {
			return true
		}
	}
	return false
}

// fieldOf returns a field of the packet, if it has it.
func fieldOf(name string, p *packet) (number, bool) {
	v4 := p.src.Is4()
	numbers := map[string]struct {
		value number
		has   bool
	}{
		"ip4.src":    {numberOf(p.src), v4},
		"ip4.dst":    {numberOf(p.dst), v4},
		"ip6.src":    {numberOf(p.src), !v4},
		"ip6.dst":    {numberOf(p.dst), !v4},
		"ip.proto":   {small(uint64(p.proto)), true},
		"tcp.src":    {small(uint64(p.sport)), p.proto == flows.TCP},
		"tcp.dst":    {small(uint64(p.dport)), p.proto == flows.TCP},
		"udp.src":    {small(uint64(p.sport)), p.proto == flows.UDP},
		"udp.dst":    {small(uint64(p.dport)), p.proto == flows.UDP},
		"icmp4.type": {small(uint64(p.sport)), v4 && p.proto == flows.ICMP},
		"icmp4.code": {small(uint64(p.dport)), v4 && p.proto == flows.ICMP},
		"icmp6.type": {small(uint64(p.sport)), !v4 && p.proto == flows.ICMPv6},
		"icmp6.code": {small(uint64(p.dport)), !v4 && p.proto == flows.ICMPv6},
		"ct.est":     {small(1), true}, "ct.trk": {small(1), true},
		"ct.new": {}, "ct.rel": {}, "ct.rpl": {}, "ct.inv": {}, "ct_mark.blocked": {},
		"reg0": {small(1<<8 | 1<<10), true},
	}
	switch name {
	case "ct.new", "ct.rel", "ct.rpl", "ct.inv", "ct_mark.blocked", "ct_label.blocked", "ip.frag", "ip.is_frag":
		return number{}, true
	case "eth.src", "eth.dst":
		return number{}, true
	case "eth.type":
		if v4 {
			return small(0x800), true
		}
		return small(0x86dd), true
	}
	n, ok := numbers[name]
	if !ok {
		panic(name)
	}
	return n.value, n.has
}

// fits evaluates what a match was understood as: whether one of the parts that are sure, or
// one in doubt, has the packet.
func (w *world) fits(u *understood, p *packet) (sure, doubt bool) {
	for _, part := range u.parts {
		ref := part.port
		if ref.name != "" && !ref.group && ref.name != p.port || ref.group && !slices.Contains(w.groups[ref.name], p.port) {
			continue
		}
		for i := range part.matches {
			if w.matches(&part.matches[i], p) {
				sure, doubt = sure || !part.doubt, doubt || part.doubt
			}
		}
	}
	return sure, doubt
}

func (w *world) matches(m *secgroup.Match, p *packet) bool {
	local, remote := p.src, p.dst
	if p.direction == flows.Ingress {
		local, remote = remote, local
	}
	family := secgroup.IPv6
	if p.src.Is4() {
		family = secgroup.IPv4
	}
	in := func(r secgroup.PortRange, n uint16) bool { return !r.Some || r.First <= n && n <= r.Last }
	return (m.Family == secgroup.AnyFamily || m.Family == family) && (!m.HasProto || m.Proto == p.proto) &&
		w.inAddrs(&m.Local, local) && w.inAddrs(&m.Remote, remote) && in(m.SrcPorts, p.sport) && in(m.DstPorts, p.dport)
}

func (w *world) inAddrs(a *secgroup.Addrs, addr netip.Addr) bool {
	has := func(prefixes []netip.Prefix) bool {
		return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	inSet := func(id secgroup.SetID) bool { return has(w.sets[string(id)]) }
	some := len(a.Prefixes)+len(a.Sets) == 0 || has(a.Prefixes) || slices.ContainsFunc(a.Sets, inSet)
	return some && !slices.ContainsFunc(a.NotSets, inSet)
}
