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
type program [kinds][2]classifier

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

	best [2]found // the stateful and the stateless rule until now
}

const (
	stateful = iota
	stateless
)

// run returns what decides; nil: no rule matches.
func (s *search) run() *verdict {
	for _, g := range s.groups {
		if p := s.table.groups.get(g); p != nil {
			s.look(p[s.kind][stateful].any, stateful)
			s.look(p[s.kind][stateless].any, stateless)
		}
	}
	s.walk(s.remote, byRemote)
	s.walk(s.local, byLocal)
	return s.decide()
}

// task is an index that may have something better than what was found.
type task struct {
	*index
	of uint8 // stateful or stateless
}

// walk looks into the buckets of all sets that a is in. Many indexes are looked at a few at
// a time, so that nothing need be allocated.
func (s *search) walk(a netip.Addr, by side) {
	var list [8]task
	n := 0
	for _, g := range s.groups {
		p := s.table.groups.get(g)
		if p == nil {
			continue
		}
		if x := p[s.kind][stateful].index(by); x != nil {
			list[n] = task{x, stateful}
			n++
		}
		if x := p[s.kind][stateless].index(by); x != nil {
			list[n] = task{x, stateless}
			n++
		}
		if n+2 > len(list) {
			s.work(a, list[:n])
			n = 0
		}
	}
	s.work(a, list[:n])
}

func (c *classifier) index(by side) *index {
	if by == byLocal {
		return c.local
	}
	return c.remote
}

// work looks into the buckets of all sets that a is in, for as long as there is hope.
func (s *search) work(a netip.Addr, list []task) {
	c := cover(s.addrs, a)
	for list = s.hopeful(list); len(list) > 0; list = s.hopeful(list) {
		sets := c.sets()
		if sets == nil {
			return
		}
		for _, t := range list {
			s.lookAll(t, sets)
		}
	}
}

// hopeful returns those of list that may have something better.
func (s *search) hopeful(list []task) []task {
	n := 0
	for _, t := range list {
		if t.limit > s.best[t.of].rank {
			list[n] = t
			n++
		}
	}
	return list[:n]
}

func (s *search) lookAll(t task, sets setNos) {
	for _, w := range sets {
		if !t.mayHave(w) {
			continue
		}
		slot := t.slot(w.no)
		for both := slot.bits & w.bits; both != 0; both &= both - 1 {
			bit := both & -both
			c := &t.cells[int(slot.first)+bits.OnesCount64(slot.bits&(bit-1))]
			if c.lo <= s.key && s.key <= c.hi {
				s.look(c.bucket, t.of)
			}
		}
	}
}

// look keeps what b says, if that is better.
func (s *search) look(b *bucket, of uint8) {
	f := &s.best[of]
	if b == nil || b.limit <= f.rank {
		return
	}
	if b.best.rank > f.rank {
		*f = b.best
	}
	if g := b.segs.find(s.key); g.rank > f.rank {
		*f = g
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
	best, bypass := s.best[stateful], s.best[stateless]
	if bypass.verdict != nil && (best.verdict == nil || best.reason == "" || bypass.rank > best.rank) {
		return bypass.verdict
	}
	return best.verdict
}
