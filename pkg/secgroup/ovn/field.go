package ovn

import (
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// comparison returns the terms for which one comparison is true, with what it implies.
func (r *reading) comparison(c *comparison) ([]term, error) {
	s := c.field.symbol
	t := term{family: s.family, proto: s.proto, hasProto: s.layer4}
	switch s.meaning {
	case fixed:
		return r.fixed(c), nil
	case tierOf:
		return r.tier(c), nil
	case predicate:
		return r.predicate(c)
	case inport, outport:
		return r.port(c), nil
	case virtualMAC:
		return r.mac(c), nil
	case etherType:
		return etherTypes(c), nil
	case ipProto:
		return protos(c), nil
	case srcAddr:
		return r.addr(c, t, source), nil
	case dstAddr:
		return r.addr(c, t, destination), nil
	case srcPort:
		return ports(c, t, source), nil
	case dstPort:
		return ports(c, t, destination), nil
	}
	t.doubt = true
	return []term{t}, nil
}

// fixed decides a comparison of bits that are known.
func (r *reading) fixed(c *comparison) []term {
	s, f := c.field.symbol, c.field
	switch {
	case slices.Contains(r.hints, expr(c)):
		r.hinted = true
	case s.name == "reg0", strings.HasPrefix(s.name, "ct"):
		r.tracks = true
	}
	within := ones(f.bits)
	if s.mask.shr(f.ofs).and(within) != within {
		return []term{{doubt: true}}
	}
	return truth(c.holds(s.value.shr(f.ofs).and(within)))
}

// holds reports whether the comparison is true for a value.
func (c *comparison) holds(n number) bool {
	v := c.values[0].value
	switch c.op {
	case less:
		return n.less(v)
	case lessEqual:
		return !v.less(n)
	case greater:
		return v.less(n)
	case greaterEqual:
		return !n.less(v)
	}
	for _, v := range c.values {
		if v.format != setName && n.and(v.mask) == v.value {
			return c.op == equal
		}
	}
	return c.op == unequal
}

// tier reads "reg8[30..31] == N".
func (r *reading) tier(c *comparison) []term {
	v := c.values[0]
	if c.field.ofs != tierBit || c.field.bits != tierBits || c.op != equal || len(c.values) > 1 || v.masked || v.format == setName {
		return []term{{doubt: true}}
	}
	return []term{{hasTier: true, tier: uint8(v.value.lo & (1<<tierBits - 1))}}
}

// predicate reads what a predicate stands for. Where it is negated that is more than the
// negation of its comparisons, because these imply others.
func (r *reading) predicate(c *comparison) ([]term, error) {
	if !c.holds(small(1)) {
		return []term{{doubt: true}}, nil
	}
	return r.terms(c.field.symbol.predicate)
}

// port reads the condition on the instance's own port: others do not tell who sends the
// packet, or where it goes.
func (r *reading) port(c *comparison) []term {
	own := inport
	if r.direction == flows.Ingress {
		own = outport
	}
	if c.field.symbol.meaning != own || c.op != equal {
		return []term{{doubt: true}}
	}
	var terms []term
	for _, v := range c.values {
		terms = append(terms, term{port: portRef{v.name, v.format == portName}, doubt: !v.isText()})
	}
	return terms
}

// monitorMAC is the set that holds the address with which ovn-controller sends health
// checks of load balancers. No instance has it.
const monitorMAC = "svc_monitor_mac"

func (r *reading) mac(c *comparison) []term {
	if c.op <= unequal && len(c.values) == 1 && c.values[0].format == setName && c.values[0].name == monitorMAC {
		return truth(c.op == unequal)
	}
	return []term{{doubt: true}}
}

// Numbers of EtherTypes (IEEE 802).
const (
	etherIPv4 = 0x800
	etherIPv6 = 0x86dd
)

func etherTypes(c *comparison) []term {
	var terms []term
	for _, v := range c.values {
		switch {
		case v.masked || v.format == setName || c.op != equal:
			return []term{{doubt: true}}
		case v.value == small(etherIPv4):
			terms = append(terms, term{family: secgroup.IPv4})
		case v.value == small(etherIPv6):
			terms = append(terms, term{family: secgroup.IPv6})
		}
	}
	return terms
}

func protos(c *comparison) []term {
	var terms []term
	for _, v := range c.values {
		if v.masked || v.format == setName || c.op != equal {
			return []term{{doubt: true}}
		}
		if v.value.width() <= 8 {
			terms = append(terms, term{hasProto: true, proto: flows.Proto(v.value.lo)})
		}
	}
	return terms
}

// ports reads comparisons of the source, or destination, port.
func ports(c *comparison, t term, end int) []term {
	in, ok := spansOf(c.op, c.values, c.field.symbol.width)
	for _, v := range c.values {
		ok = ok && v.format != setName
	}
	if !ok || c.field.bits != c.field.symbol.width {
		t.doubt = true
		return []term{t}
	}
	var terms []term
	for _, s := range in {
		t.ports[end] = portSet{uint16(s.first.lo), uint16(s.last.lo), true}
		terms = append(terms, t)
	}
	return terms
}

// addr reads comparisons of the source, or destination, address.
func (r *reading) addr(c *comparison, t term, end int) []term {
	width := c.field.symbol.width
	// Bits of an address are as good as a mask if they are the highest.
	whole := c.field.bits == width
	if c.field.ofs+c.field.bits != width || c.op >= less && !whole {
		t.doubt = true
		return []term{t}
	}
	var names []string
	var plain []constant
	for _, v := range c.values {
		if v.format == setName {
			names = append(names, v.name)
		} else {
			plain = append(plain, c.field.shifted(v))
		}
	}
	for _, name := range names {
		r.sets = append(r.sets, setUse{name, t.family})
	}
	if c.op == unequal && len(plain) == 0 && !slices.ContainsFunc(names, func(n string) bool { return !r.known.kind(n).empty }) {
		return truth(true) // without a value there is nothing to imply the family, either
	}
	a, ok := r.condition(c.op, plain, names, width, t.family)
	if !ok || len(names) > 0 && !whole {
		t.doubt = true
		return []term{t}
	}
	if a.limited && len(a.ranges) == 0 && len(a.sets) == 0 {
		return nil
	}
	t.addrs[end] = a
	return []term{t}
}

// condition returns what an address that is compared with numbers and sets must be.
func (r *reading) condition(op relation, plain []constant, names []string, width int, f secgroup.Family) (addrs, bool) {
	if len(names) > 0 && r.expand {
		return r.contents(op, plain, names, width, f)
	}
	in, ok := spansOf(op, plain, width)
	a := addrs{ranges: in, limited: !in.isAll(width)}
	if names = union(nil, names); op == unequal {
		a.notSets = names
	} else if len(names) > 0 {
		a.sets, a.limited = names, true
	}
	return a, ok
}

// contents is condition with what is in the sets in place of their names.
func (r *reading) contents(op relation, plain []constant, names []string, width int, f secgroup.Family) (addrs, bool) {
	in, ok := spansOf(equal, plain, width)
	for _, name := range names {
		if r.work > maxWork {
			return addrs{}, false
		}
		members, there := r.known.content(name, f)
		in, ok = append(in, members...), ok && there
		r.work += len(members)
	}
	if in = in.merged(); op == unequal {
		in = in.complement(span{last: ones(width)})
	}
	return addrs{ranges: in, limited: !in.isAll(width)}, ok && op <= unequal
}

// shifted returns a constant as one for the whole symbol, of which the field is some bits.
func (f field) shifted(v constant) constant {
	if f.bits == f.symbol.width {
		return v
	}
	v.value, v.mask = v.value.and(ones(f.bits)).shl(f.ofs), v.mask.and(ones(f.bits)).shl(f.ofs)
	return v
}
