package policy

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// addresses says which items an address fits. Each prefix holds the items of all that cover
// it, so that one look-up of the longest tells all.
type addresses struct {
	rest  bitset // items without such a condition
	table *bart.Table[bitset]
}

func newAddresses(b *builder, of func(i int) []netip.Prefix) addresses {
	a := addresses{rest: b.where(func(i int) bool { return len(of(i)) == 0 })}
	own := map[netip.Prefix]bitset{}
	for i := range b.count {
		for _, p := range of(i) {
			if own[p] == nil {
				own[p] = b.none()
			}
			own[p].add(i)
		}
	}
	if len(own) == 0 {
		return a
	}
	a.table = new(bart.Table[bitset])
	prefixes := slices.SortedFunc(maps.Keys(own), func(p, q netip.Prefix) int { return p.Bits() - q.Bits() })
	for _, p := range prefixes { // those that cover it are there
		above := a.rest
		if _, covering, ok := a.table.LookupPrefixLPM(p); ok {
			above = covering
		}
		a.table.Insert(p, b.keep(own[p].or(above)))
	}
	return a
}

func (a *addresses) fit(addr netip.Addr) bitset {
	if a.table == nil {
		return a.rest
	}
	if set, ok := a.table.Lookup(addr); ok {
		return set
	}
	return a.rest
}
