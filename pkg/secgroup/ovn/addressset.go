package ovn

import (
	"maps"
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
	row     []string             // as it was written
	members map[netip.Prefix]int // how many of row are that prefix
	kinds   [kindsOfAddress]int  // how many of row are of a kind
}

// kindOfAddress is what OVN makes of one of the addresses of a set.
type kindOfAddress uint8

const (
	address4 kindOfAddress = iota
	address6
	disorderly // an IP address with a mask that is no prefix
	foreign    // a MAC, or no address at all
	kindsOfAddress
)

// setKind is what decides whether OVN can use a set. The zero value is a set that is not there.
type setKind struct {
	there, empty bool
	has          [kindsOfAddress]bool
}

func newAddressSet(addresses []string) *addressSet {
	s := &addressSet{members: make(map[netip.Prefix]int, len(addresses))}
	s.become(addresses)
	return s
}

// become makes the content what a row says now, and returns what has changed of it. Only
// what differs is looked at.
func (s *addressSet) become(row []string) secgroup.SetChange {
	gone, come := differences(s.row, row)
	s.row = row
	was := map[netip.Prefix]bool{}
	for by, addresses := range map[int][]string{-1: gone, +1: come} {
		for _, text := range addresses {
			p, kind := readAddress(text)
			if s.kinds[kind] += by; !p.IsValid() {
				continue
			}
			if _, seen := was[p]; !seen {
				was[p] = s.members[p] > 0
			}
			s.members[p] += by
		}
	}
	var c secgroup.SetChange
	for p, there := range was {
		now := s.members[p] > 0
		if !now {
			delete(s.members, p)
		}
		switch {
		case now && !there:
			c.Add = append(c.Add, p)
		case there && !now:
			c.Remove = append(c.Remove, p)
		}
	}
	slices.SortFunc(c.Add, netip.Prefix.Compare)
	slices.SortFunc(c.Remove, netip.Prefix.Compare)
	return c
}

// readAddress reads one of the addresses of a set. The prefix is valid for the first two
// kinds.
func readAddress(text string) (netip.Prefix, kindOfAddress) {
	c, err := parseNumber(text)
	family, kind := secgroup.IPv6, address6
	switch {
	case err != nil || c.format != ipv4 && c.format != ipv6:
		return netip.Prefix{}, foreign
	case c.format == ipv4:
		family, kind = secgroup.IPv4, address4
	}
	r, ok := spanOf(c, familyWidth(family))
	if !ok {
		return netip.Prefix{}, disorderly
	}
	prefixes, _ := spans{r}.prefixes(family, 1)
	return prefixes[0], kind
}

func (s *addressSet) kind() setKind {
	k := setKind{there: true, empty: len(s.row) == 0}
	for i, n := range s.kinds {
		k.has[i] = n > 0
	}
	return k
}

// fits reports whether OVN carries out a match that uses a set of this kind, and means by it
// what a secgroup.Match does. Numbers of another width than the field make ovn-controller
// pass over the whole flow, or are compared as something else (make_cmp in lib/expr.c).
func (k setKind) fits(u setUse) bool {
	other := u.family == secgroup.IPv4 && k.has[address6] || u.family == secgroup.IPv6 && k.has[address4]
	return k.there && !k.has[foreign] && !k.has[disorderly] && !other
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

// all returns all members, sorted.
func (s *addressSet) all() []netip.Prefix {
	return slices.SortedFunc(maps.Keys(s.members), netip.Prefix.Compare)
}
