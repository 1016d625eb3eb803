package secgroup

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// kind selects those rules of a group that can match a packet at all: by direction and
// family of addresses.
type kind uint8

const kinds = 4

func kindOf(d flows.Direction, ipv6 bool) kind {
	k := kind(d) << 1
	if ipv6 {
		k |= 1
	}
	return k
}

// program is the rules of a group. Those that bypass conntrack are apart, because it takes
// effect that one of them matches even where another rule decides. It is never changed.
type program [2 * kinds]classifier // the stateful ones by kind, then the stateless ones

// classifier holds matches in buckets: by the remote address where they have a condition on
// it, else by the local one. The zero value is empty.
type classifier struct {
	any           *bucket
	remote, local *index // nil: empty
}

// search looks for what decides about one connection.
type search struct {
	table         *Table
	addrs         *addresses
	groups        []groupNo
	kind          kind
	tuple         flows.Tuple
	remote, local netip.Addr

	stateful, stateless *verdict // the best until now
}

// run returns what decides; nil: no rule matches.
func (s *search) run() *verdict {
	var byRemote, byLocal bool // there are such buckets
	for _, g := range s.groups {
		p := s.table.groups.get(g)
		if p == nil {
			continue
		}
		a, b := &p[s.kind], &p[s.kind+kinds]
		byRemote = byRemote || a.remote != nil || b.remote != nil
		byLocal = byLocal || a.local != nil || b.local != nil
		s.look(a.any, &s.stateful)
		s.look(b.any, &s.stateless)
	}
	if byRemote {
		s.walk(s.remote, false)
	}
	if byLocal {
		s.walk(s.local, true)
	}
	return s.decide()
}

// walk looks into the buckets of all sets that a is in.
func (s *search) walk(a netip.Addr, local bool) {
	c := cover(s.addrs, a)
	for sets := c.sets(); sets != nil; sets = c.sets() {
		for _, g := range s.groups {
			p := s.table.groups.get(g)
			if p == nil {
				continue
			}
			s.lookAll(p[s.kind].index(local), sets, &s.stateful)
			s.lookAll(p[s.kind+kinds].index(local), sets, &s.stateless)
		}
	}
}

func (c *classifier) index(local bool) *index {
	if local {
		return c.local
	}
	return c.remote
}

func (s *search) lookAll(x *index, sets []setNo, found **verdict) {
	if x == nil {
		return
	}
	for _, set := range sets {
		if b := x.get(set); b != nil {
			s.look(b, found)
		}
	}
}

// look puts into found what b says, if that is over what is there.
func (s *search) look(b *bucket, found **verdict) {
	if b == nil {
		return
	}
	take(found, b.top)
	for i := range b.protos {
		if p := &b.protos[i]; p.proto == s.tuple.Proto {
			take(found, p.top)
			take(found, p.segs.find(s.tuple.DstPort))
			break
		}
	}
	for i := range b.rest {
		r := &b.rest[i]
		if *found != nil && !r.over(*found) {
			return
		}
		if (r.anyProto || r.proto == s.tuple.Proto) && r.rest.hold(s) {
			*found = r.verdict
			return
		}
	}
}

func take(found **verdict, v *verdict) {
	if v != nil && (*found == nil || v.over(*found)) {
		*found = v
	}
}

// decide is where the two kinds of rules meet.
func (s *search) decide() *verdict {
	best, stateless := s.stateful, s.stateless
	if stateless != nil && (best == nil || best.reason == "" || stateless.over(best)) {
		return stateless
	}
	return best
}
