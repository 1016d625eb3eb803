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
	k := kind(d&1) << 1
	if ipv6 {
		k |= 1
	}
	return k
}

// program is the rules of a group. Those that bypass conntrack are apart, because it takes
// effect that one of them matches even where another rule decides. Nil is none.
type program [kinds][2]*classifier

// classifier holds matches in buckets: by the remote address where they have a condition on
// it, else by the local one. It is one piece of memory, which says whether and where to look
// further. It is never changed.
type classifier struct {
	any           slot
	remote, local index
}

// search looks for what decides about one connection.
type search struct {
	addrs         *addresses
	kind          kind
	key           uint32
	tuple         flows.Tuple
	remote, local netip.Addr
	covering      covering // of the remote address

	best [2]verdict // the stateful and the stateless rule until now
}

const (
	stateful = iota
	stateless
)

// atOnce is how many groups are looked at together: more would have to be allocated.
const atOnce = 6

// run returns what decides.
func (s *search) run(programs pages[program], groups []groupNo) verdict {
	for len(groups) > atOnce {
		s.look(programs, groups[:atOnce])
		groups = groups[atOnce:]
	}
	s.look(programs, groups)
	return s.decide()
}

// look looks at some groups: at what stands for any address first, which costs least, and
// often decides. All of a kind comes together, so that the processor waits for the memory of
// several at once.
func (s *search) look(programs pages[program], groups []groupNo) {
	var remote, local [2 * atOnce]task
	remotes, locals := 0, 0
	for _, g := range groups {
		for of, c := range programs.get(g)[s.kind] {
			if c == nil {
				continue
			}
			s.try(&c.any, uint8(of))
			if c.remote.n > 0 {
				remote[remotes] = task{&c.remote, uint8(of)}
				remotes++
			}
			if c.local.n > 0 {
				local[locals] = task{&c.local, uint8(of)}
				locals++
			}
		}
	}
	s.walk(s.covering, remote[:remotes])
	if locals > 0 {
		s.walk(cover(s.addrs, s.local), local[:locals])
	}
}

// task is an index that may have something better than what was found.
type task struct {
	*index
	of uint8 // stateful or stateless
}

// walk looks into the buckets of all sets that an address is in, for as long as there is hope.
func (s *search) walk(c covering, list []task) {
	for list = s.hopeful(list); len(list) > 0; list = s.hopeful(list) {
		sets := c.sets()
		if sets == nil {
			return
		}
		for _, t := range list {
			s.tryAll(t, sets)
		}
	}
}

func (c *classifier) index(by side) *index {
	if by == byLocal {
		return &c.local
	}
	return &c.remote
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

// tryAll tries the buckets of sets.
func (s *search) tryAll(t task, sets setNos) {
	for _, w := range sets {
		for left := t.maybe(w); left != 0; left &= left - 1 {
			s.try(t.slot(w.first()+setNo(bits.TrailingZeros32(left))), t.of)
		}
	}
}

// try keeps what the bucket of a slot says, if that is better.
func (s *search) try(b *slot, of uint8) {
	f := &s.best[of]
	if b.limit <= f.rank || !b.blocks.has(s.key) {
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
			*f = r.verdict
			return
		}
	}
}

// decide is where the two kinds of rules meet.
func (s *search) decide() verdict {
	best, bypass := s.best[stateful], s.best[stateless]
	if bypass.rank > 0 && (best.reason() == "" || bypass.rank > best.rank) {
		return bypass
	}
	return best
}
