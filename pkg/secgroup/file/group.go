package file

import (
	"net/netip"
)

// group is a body of GET /v2.0/security-groups.
type group struct {
	id, name string
	stateful bool
	rules    []rule
}

// readGroup reads a group; seen has the ids of all rules so far.
func readGroup(n *node, seen map[string]bool) (g group, err error) {
	o, err := asObject(n)
	if err != nil {
		return g, err
	}
	if g.id, err = o.id("id"); err != nil {
		return g, err
	}
	if g.name, err = o.text("name"); err != nil {
		return g, err
	}
	if g.stateful, err = o.flag("stateful", true); err != nil {
		return g, err
	}
	return g, o.each("security_group_rules", func(n *node) error {
		r, err := readRule(n, g.id)
		if err == nil {
			err = once(n, seen, r.id)
		}
		seen[r.id] = true
		g.rules = append(g.rules, r)
		return err
	})
}

// addressGroup is a body of GET /v2.0/address-groups.
type addressGroup struct {
	id       string
	prefixes []netip.Prefix
}

func readAddressGroup(n *node) (a addressGroup, err error) {
	o, err := asObject(n)
	if err != nil {
		return a, err
	}
	if a.id, err = o.id("id"); err != nil {
		return a, err
	}
	return a, o.each("addresses", func(n *node) error {
		s, err := asText(n)
		if err != nil {
			return err
		}
		prefix, err := parsePrefix(s)
		if err != nil {
			return wrong(n, "%v", err)
		}
		a.prefixes = append(a.prefixes, prefix)
		return nil
	})
}
