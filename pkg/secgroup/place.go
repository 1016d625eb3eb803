package secgroup

import (
	"net/netip"
)

// place is a bucket of a group.
type place struct {
	kind  kind
	state uint8 // stateful or stateless
	by    side
	set   setNo
}

// side says which address chooses a bucket.
type side uint8

const (
	byNone side = iota
	byRemote
	byLocal
	sides
)

// placed is a match, and where it belongs.
type placed struct {
	place
	entry
	host netip.Addr // where its bucket is that of one address
}

// operand is a condition on an address as it can be checked: one of prefixes and sets,
// unless it is any, and none of not.
type operand struct {
	any       bool
	prefixes  []netip.Prefix // of one family, masked
	sets, not []*set
	unknown   bool // something that it names is not there
}

func (o *operand) never() bool { return !o.any && len(o.prefixes)+len(o.sets) == 0 }

// resolve returns what a means for one family of addresses now.
func (c *Compiler) resolve(a *Addrs, ipv6 bool, action Action) operand {
	o := operand{any: len(a.Prefixes)+len(a.Sets) == 0}
	for _, p := range a.Prefixes {
		switch p = p.Masked(); {
		case !p.IsValid():
			o.any, o.unknown = true, true
		case p.Addr().Is6() != ipv6:
		case p.Bits() == 0:
			o.any = true
		default:
			o.prefixes = append(o.prefixes, p)
		}
	}
	for _, id := range a.Sets {
		switch s := c.sets[id]; {
		case s.there:
			o.sets = append(o.sets, s)
		case action != Allow:
			o.any, o.unknown = true, true
		}
	}
	for _, id := range a.NotSets {
		if s := c.sets[id]; s.there {
			o.not = append(o.not, s)
		} else {
			o.unknown = true
		}
	}
	return o
}

// places returns where the matches of r belong, and keeps in r which prefixes have got a
// number for that.
func (c *Compiler) places(r *rule) []placed {
	var out []placed
	for i := range r.told.Matches {
		m := &r.told.Matches[i]
		if m.Family != IPv6 {
			out = c.placeMatch(out, r, m, false)
		}
		if m.Family != IPv4 {
			out = c.placeMatch(out, r, m, true)
		}
	}
	return out
}

func (c *Compiler) placeMatch(out []placed, r *rule, m *Match, ipv6 bool) []placed {
	ports, ok := portsOf(m)
	remote, local := c.resolve(&m.Remote, ipv6, r.action), c.resolve(&m.Local, ipv6, r.action)
	if !ok || remote.never() || local.never() {
		return out
	}
	action := r.action
	if ports.unknown || remote.unknown || local.unknown || m.Family > IPv6 {
		action = Unknown
	}
	by, key := byRemote, &remote
	switch {
	case remote.any && local.any:
		by = byNone
	case remote.any:
		by, key = byLocal, &local
	}
	at := place{kind: kindOf(r.told.Direction, ipv6), by: by}
	if action == AllowStateless {
		at.state = stateless
	}
	e := entry{verdict: r.verdict(action), proto: m.Proto, anyProto: !m.HasProto, ports: ports.span}
	rest := conditions{src: ports.src, dst: ports.dst, notRemote: numbers(remote.not), notLocal: numbers(local.not)}
	if by == byRemote && !local.any {
		rest.local = oneOf{local.prefixes, numbers(local.sets)}
	}
	if !ports.isSpan || !rest.onlyPorts() {
		e.rest = &rest
	}
	if by == byNone {
		return append(out, placed{place: at, entry: e})
	}
	for _, s := range key.sets {
		at.set = s.no
		out = append(out, placed{place: at, entry: e})
	}
	for _, p := range key.prefixes {
		at.set = c.hold(p)
		r.prefixes = append(r.prefixes, p)
		out = append(out, placed{at, e, hostOf(p)})
	}
	return out
}

// hostOf returns the address that p is, or none.
func hostOf(p netip.Prefix) netip.Addr {
	if p.IsSingleIP() {
		return p.Addr()
	}
	return netip.Addr{}
}

// numbers returns the numbers of sets.
func numbers(sets []*set) (out setNos) {
	for _, s := range sets {
		out = out.with(s.no, true)
	}
	return out
}
