package secgroup

import (
	"hash/maphash"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// addresses says in which sets an address is: each prefix holds the numbers of the sets
// that it is a member of, and an address is in the sets of all prefixes that
// cover it. Prefixes are masked. IPv6 prefixes of mapped IPv4 are ones of IPv6: so are the
// addresses of packets. It is never changed.
//
// Most prefixes are single addresses. A hash finds these with one access to memory, the trie
// with several for each of its levels, one after the other.
type addresses struct {
	hosts *hashMap[netip.Addr, setNos]
	wider *bart.Table[setNos] // all others
	// shortest is, of IPv4 and of IPv6, how many bits a prefix in wider has had at the least:
	// none need be looked for that is shorter.
	shortest [2]int
}

func newAddresses() *addresses {
	return &addresses{
		hosts:    newHashMap[netip.Addr, setNos](hashAddr),
		wider:    new(bart.Table[setNos]),
		shortest: [2]int{32, 128},
	}
}

// family is the index of shortest.
func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

func hashAddr(s maphash.Seed, a netip.Addr) uint64 {
	b := a.As16()
	return maphash.Bytes(s, b[:])
}

// addressEdit is whether a prefix is a member of a set from now on.
type addressEdit struct {
	set setNo
	in  bool
}

// with returns what t becomes.
func (t *addresses) with(edits map[netip.Prefix][]addressEdit) *addresses {
	if len(edits) == 0 {
		return t
	}
	shortest := t.shortest
	hosts := make(map[netip.Addr]*setNos)
	wider := make(map[netip.Prefix]setNos)
	for p, list := range edits {
		old := t.get(p)
		sets := old
		for _, e := range list {
			sets = sets.with(e.set, e.in)
		}
		switch {
		case slices.Equal(sets, old):
		case !p.IsSingleIP():
			wider[p] = sets
			s := &shortest[family(p.Addr())]
			*s = min(*s, p.Bits())
		case len(sets) == 0:
			hosts[p.Addr()] = nil
		default:
			hosts[p.Addr()] = &sets
		}
	}
	return &addresses{t.hosts.with(hosts), editWider(t.wider, wider), shortest}
}

// get returns the sets that p itself is a member of.
func (t *addresses) get(p netip.Prefix) setNos {
	if p.IsSingleIP() {
		return t.ofHost(p.Addr())
	}
	sets, _ := t.wider.Get(p)
	return sets
}

func (t *addresses) ofHost(a netip.Addr) setNos {
	if sets := t.hosts.get(a); sets != nil {
		return *sets
	}
	return nil
}

func editWider(t *bart.Table[setNos], edits map[netip.Prefix]setNos) *bart.Table[setNos] {
	insert := func(p netip.Prefix, s setNos) { t = t.InsertPersist(p, s) }
	remove := func(p netip.Prefix) { t = t.DeletePersist(p) }
	if len(edits) > t.Size()/8 { // then a copy of all costs less than one of each path
		t = t.Clone()
		insert, remove = t.Insert, t.Delete
	}
	for p, sets := range edits {
		if len(sets) == 0 {
			remove(p)
		} else {
			insert(p, sets)
		}
	}
	return t
}

// covering walks the prefixes that cover an address, the longest first.
type covering struct {
	table    *addresses
	host     setNos       // of the address itself, until they are asked for
	first    word         // of host; for nothing but to have it read
	next     netip.Prefix // the longest that may come after host
	shortest int          // that next can be
}

// cover begins to walk. It reads all the memory that the first step needs, so that the
// processor fetches it while the caller does other things.
func cover(t *addresses, a netip.Addr) covering {
	a = a.WithZone("")
	c := covering{table: t, host: t.ofHost(a), next: netip.PrefixFrom(a, a.BitLen()-1),
		shortest: t.shortest[family(a)]}
	if len(c.host) > 0 {
		c.first = c.host[0]
	}
	return c
}

// sets returns the sets of the next prefix; nil: there is none.
func (c *covering) sets() setNos {
	if sets := c.host; sets != nil {
		c.host = nil
		return sets
	}
	if c.next.Bits() < c.shortest {
		return nil
	}
	p, sets, ok := c.table.wider.LookupPrefixLPM(c.next)
	if !ok {
		return nil
	}
	c.next = netip.PrefixFrom(p.Addr(), p.Bits()-1) // of -1 bits after the last
	return sets
}

// isIn reports whether a is in one of sets.
func isIn(t *addresses, a netip.Addr, sets setNos) bool {
	if len(sets) == 0 {
		return false
	}
	c := cover(t, a)
	for list := c.sets(); list != nil; list = c.sets() {
		if list.meets(sets) {
			return true
		}
	}
	return false
}
