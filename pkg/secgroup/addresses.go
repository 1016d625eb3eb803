package secgroup

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// addresses says in which sets an address is: each prefix holds the numbers of the sets
// that it is a member of, and an address is in the sets of all prefixes that
// cover it. Prefixes are masked. IPv6 prefixes of mapped IPv4 are ones of IPv6: so are the
// addresses of packets.
type addresses = bart.Table[setNos]

// addressEdit is whether a prefix is a member of a set from now on.
type addressEdit struct {
	set setNo
	in  bool
}

// editAddresses returns what t becomes; t is not changed.
func editAddresses(t *addresses, edits map[netip.Prefix][]addressEdit) *addresses {
	if len(edits) == 0 {
		return t
	}
	insert := func(p netip.Prefix, s setNos) { t = t.InsertPersist(p, s) }
	remove := func(p netip.Prefix) { t = t.DeletePersist(p) }
	if len(edits) > t.Size()/8 { // then a copy of all costs less than one of each path
		t = t.Clone()
		insert, remove = t.Insert, t.Delete
	}
	for p, list := range edits {
		old, _ := t.Get(p)
		sets := old
		for _, e := range list {
			sets = sets.with(e.set, e.in)
		}
		switch {
		case slices.Equal(sets, old):
		case len(sets) == 0:
			remove(p)
		default:
			insert(p, sets)
		}
	}
	return t
}

// covering walks the prefixes that cover an address, the longest first.
type covering struct {
	table *addresses
	next  netip.Prefix
}

func cover(t *addresses, a netip.Addr) covering {
	return covering{t, netip.PrefixFrom(a, a.BitLen())}
}

// sets returns the sets of the next prefix; nil: there is none.
func (c *covering) sets() setNos {
	if !c.next.IsValid() {
		return nil
	}
	p, sets, ok := c.table.LookupPrefixLPM(c.next)
	if !ok {
		return nil
	}
	c.next = netip.PrefixFrom(p.Addr(), p.Bits()-1) // not valid after the last
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
