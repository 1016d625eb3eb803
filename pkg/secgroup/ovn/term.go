package ovn

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// term is conditions that must all hold. The zero value is every packet.
type term struct {
	port     portRef // the instance's own
	tier     uint8
	hasTier  bool
	family   secgroup.Family
	proto    flows.Proto
	hasProto bool
	addrs    [2]addrs   // source and destination; family is set where there is any
	ports    [2]portSet // source and destination, or type and code of ICMP
	// doubt says that there are conditions besides that are not understood: it stands
	// for some of the packets, and nobody knows which.
	doubt bool
	// crossed says that two conditions with address sets meet, of which one is left out.
	crossed bool
}

// portRef is a condition on the logical port: that it is name, or in the port group name.
// The zero value is every port.
type portRef struct {
	name  string
	group bool
}

// on names the ports that fit on the logical switch with a tunnel key.
func (p portRef) on(key int) secgroup.GroupID {
	switch {
	case p.name == "":
		return switchOf(key)
	case p.group:
		return groupOf(key, p.name)
	}
	return portOf(key, p.name)
}

// addrs is a condition on an address: that it is in ranges or one of sets, and in none of
// notSets. The zero value is any.
type addrs struct {
	limited       bool // ranges and sets count
	ranges        spans
	sets, notSets []string
}

// portSet is the numbers from first to last, where limited.
type portSet struct {
	first, last uint16
	limited     bool
}

const (
	source = iota
	destination
)

// and returns what fits both, or false if nothing does. What cannot be said is more, and
// in doubt.
func (t term) and(o term) (term, bool) {
	if o.port != (portRef{}) {
		if t.port == (portRef{}) {
			t.port = o.port
		} else if t.port != o.port {
			if !t.port.group && !o.port.group {
				return t, false
			}
			t.doubt = true
		}
	}
	if t.hasTier && o.hasTier && t.tier != o.tier || t.hasProto && o.hasProto && t.proto != o.proto ||
		t.family != 0 && o.family != 0 && t.family != o.family {
		return t, false
	}
	if o.hasTier {
		t.hasTier, t.tier = true, o.tier
	}
	if o.hasProto {
		t.hasProto, t.proto = true, o.proto
	}
	t.family = max(t.family, o.family)
	t.doubt, t.crossed = t.doubt || o.doubt, t.crossed || o.crossed
	for i := range t.addrs {
		known, some := t.addrs[i].and(&o.addrs[i])
		if !some {
			return t, false
		}
		t.crossed = t.crossed || !known
	}
	for i := range t.ports {
		if !t.ports[i].and(o.ports[i]) {
			return t, false
		}
	}
	return t, true
}

// size is how much work it is to look at a term.
func (t *term) size() int {
	n := 1
	for i := range t.addrs {
		n += len(t.addrs[i].ranges) + len(t.addrs[i].sets) + len(t.addrs[i].notSets)
	}
	return n
}

// and narrows an address down. It is not known whether that is all if two conditions
// with sets meet; some is false if no address is left.
func (a *addrs) and(o *addrs) (known, some bool) {
	a.notSets = union(a.notSets, o.notSets)
	switch {
	case !o.limited:
		return true, true
	case !a.limited:
		a.limited, a.ranges, a.sets = true, o.ranges, o.sets
		return true, true
	case len(a.sets) == 0 && len(o.sets) == 0:
		a.ranges = a.ranges.intersect(o.ranges)
		return true, len(a.ranges) > 0
	case slices.Equal(a.sets, o.sets) && slices.Equal(a.ranges, o.ranges):
		return true, true
	}
	return false, true
}

// union returns the names in a and b, each once. It changes neither.
func union(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

func (p *portSet) and(o portSet) bool {
	switch {
	case !o.limited:
	case !p.limited:
		*p = o
	default:
		p.first, p.last = max(p.first, o.first), min(p.last, o.last)
	}
	return p.first <= p.last
}

// match returns the term for one direction at an instance. It is false if that is more
// than a Match should hold.
func (t *term) match(d flows.Direction) (secgroup.Match, bool) {
	m := secgroup.Match{
		Family: t.family, Proto: t.proto, HasProto: t.hasProto,
		SrcPorts: t.ports[source].portRange(), DstPorts: t.ports[destination].portRange(),
	}
	local, remote := source, destination
	if d == flows.Ingress {
		local, remote = destination, source
	}
	var fits [2]bool
	m.Local, fits[0] = t.addrs[local].condition(t.family)
	m.Remote, fits[1] = t.addrs[remote].condition(t.family)
	return m, fits[0] && fits[1]
}

func (p portSet) portRange() secgroup.PortRange {
	return secgroup.PortRange{First: p.first, Last: p.last, Some: p.limited}
}

// maxPrefixes bounds the prefixes of one condition.
const maxPrefixes = 1 << 14

func (a *addrs) condition(f secgroup.Family) (secgroup.Addrs, bool) {
	c := secgroup.Addrs{NotSets: setIDs(a.notSets)}
	if !a.limited || len(a.sets) == 0 && a.ranges.isAll(familyWidth(f)) {
		return c, true
	}
	c.Sets = setIDs(a.sets)
	var fits bool
	c.Prefixes, fits = a.ranges.prefixes(f, maxPrefixes)
	return c, fits
}

func setIDs(names []string) []secgroup.SetID {
	var ids []secgroup.SetID
	for _, name := range names {
		ids = append(ids, secgroup.SetID(name))
	}
	return ids
}
