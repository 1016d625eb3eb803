package secgroup

import (
	"math/bits"
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
	key           uint32
	tuple         flows.Tuple
	remote, local netip.Addr

	stateful, stateless found
}

// found is the best until now.
type found struct {
	*verdict
	rank rank
}

// run returns what decides; nil: no rule matches.
func (s *search) run() *verdict {
	for _, g := range s.groups {
		if p := s.table.groups.get(g); p != nil {
			s.look(p[s.kind].any, &s.stateful)
			s.look(p[s.kind+kinds].any, &s.stateless)
		}
	}
	s.walk(s.remote, byRemote)
	s.walk(s.local, byLocal)
	return s.decide()
}

// walk looks into the buckets of all sets that a is in, for as long as there can be
// something better than what was found.
func (s *search) walk(a netip.Addr, by side) {
	c := cover(s.addrs, a)
	for {
		var todo bool
		for _, g := range s.groups {
			if p := s.table.groups.get(g); p != nil {
				todo = todo || p[s.kind].index(by).over(s.stateful) || p[s.kind+kinds].index(by).over(s.stateless)
			}
		}
		if !todo {
			return
		}
		sets := c.sets()
		if sets == nil {
			return
		}
		for _, g := range s.groups {
			if p := s.table.groups.get(g); p != nil {
				s.lookAll(p[s.kind].index(by), sets, &s.stateful)
				s.lookAll(p[s.kind+kinds].index(by), sets, &s.stateless)
			}
		}
	}
}

func (c *classifier) index(by side) *index {
	if by == byLocal {
		return c.local
	}
	return c.remote
}

// over reports whether a bucket can have something better.
func (x *index) over(f found) bool { return x != nil && x.limit > f.rank }

func (s *search) lookAll(x *index, sets setNos, f *found) {
	if !x.over(*f) {
		return
	}
	for _, w := range sets {
		slot := x.slot(w.no)
		for both := slot.bits & w.bits; both != 0; both &= both - 1 {
			bit := both & -both
			s.look(x.buckets[int(slot.first)+bits.OnesCount64(slot.bits&(bit-1))], f)
		}
	}
}

// look puts into f what b says, if that is better.
func (s *search) look(b *bucket, f *found) {
	if b == nil || b.limit <= f.rank {
		return
	}
	if b.top > f.rank {
		*f = found{b.best, b.top}
	}
	if g := b.segs.find(s.key); g.rank > f.rank {
		*f = found{g.verdict, g.rank}
	}
	for i := range b.rest {
		r := &b.rest[i]
		if r.verdict.rank <= f.rank {
			return
		}
		if (r.anyProto || r.proto == s.tuple.Proto) && r.rest.hold(s) {
			*f = found{r.verdict, r.verdict.rank}
			return
		}
	}
}

// decide is where the two kinds of rules meet.
func (s *search) decide() *verdict {
	best, stateless := s.stateful, s.stateless
	if stateless.verdict != nil && (best.verdict == nil || best.reason == "" || stateless.rank > best.rank) {
		return stateless.verdict
	}
	return best.verdict
}
