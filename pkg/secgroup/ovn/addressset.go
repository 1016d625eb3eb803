package ovn

import (
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// setUse is how a match uses an address set.
type setUse struct {
	name   string
	family secgroup.Family
}

// addressSet is an address set as it was told.
type addressSet struct {
	members map[netip.Prefix]struct{}
	kind    setKind
}

// setKind is what decides whether OVN can use a set. The zero value is a set that is not there.
type setKind struct {
	there, empty bool
	has4, has6   bool
	others       bool // MACs, or what is no address at all
	disorderly   bool // masks that are no prefixes
}

// newAddressSet reads the addresses of a set.
func newAddressSet(addresses []string) *addressSet {
	s := &addressSet{members: make(map[netip.Prefix]struct{}, len(addresses))}
	s.kind = setKind{there: true, empty: len(addresses) == 0}
	for _, text := range addresses {
		c, err := parseNumber(text)
		family := secgroup.IPv6
		switch {
		case err != nil || c.format != ipv4 && c.format != ipv6:
			s.kind.others = true
			continue
		case c.format == ipv4:
			family, s.kind.has4 = secgroup.IPv4, true
		default:
			s.kind.has6 = true
		}
		r, ok := spanOf(c, familyWidth(family))
		if !ok {
			s.kind.disorderly = true
			continue
		}
		prefixes, _ := spans{r}.prefixes(family, 1)
		s.members[prefixes[0]] = struct{}{}
	}
	return s
}

// fits reports whether OVN carries out a match that uses a set of this kind, and means by it
// what a secgroup.Match does. Numbers of another width than the field make ovn-controller
// pass over the whole flow, or are compared as something else (make_cmp in lib/expr.c).
func (k setKind) fits(u setUse) bool {
	other := u.family == secgroup.IPv4 && k.has6 || u.family == secgroup.IPv6 && k.has4
	return k.there && !k.others && !k.disorderly && !other
}

// spans returns the members of one family as numbers.
func (s *addressSet) spans(f secgroup.Family) spans {
	var all spans
	for p := range s.members {
		if p.Addr().Is4() == (f == secgroup.IPv4) {
			first := numberOf(p.Addr())
			all = append(all, span{first, first.or(ones(familyWidth(f) - p.Bits()))})
		}
	}
	return all.merged()
}

// change returns what turns the members of old into those of s. Old is nil if there was none.
func (s *addressSet) change(old *addressSet) secgroup.SetChange {
	if old == nil {
		return secgroup.SetChange{Replace: true, Add: sortedPrefixes(s.members, nil)}
	}
	return secgroup.SetChange{
		Add:    sortedPrefixes(s.members, old.members),
		Remove: sortedPrefixes(old.members, s.members),
	}
}

// sortedPrefixes returns the prefixes that are in a and not in b.
func sortedPrefixes(a, b map[netip.Prefix]struct{}) []netip.Prefix {
	var only []netip.Prefix
	for p := range a {
		if _, both := b[p]; !both {
			only = append(only, p)
		}
	}
	slices.SortFunc(only, netip.Prefix.Compare)
	return only
}
