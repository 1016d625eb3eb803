package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// names says which items a server name fits. A pattern is a name, "*." and a name for all
// names below that one, at any depth, or "*" for any name.
type names struct {
	rest  bitset            // items without such a condition
	any   bitset            // rest, and those with "*"
	exact map[string]bitset // by name: all that it fits
	below map[string]bitset // by name: all that names below it fit which are in neither map
	depth int               // labels of the longest in below
}

func newNames(b *builder, of func(i int) []string) names {
	n := names{
		rest:  b.where(func(i int) bool { return len(of(i)) == 0 }),
		any:   b.where(func(i int) bool { return len(of(i)) == 0 || slices.Contains(of(i), "*") }),
		exact: map[string]bitset{}, below: map[string]bitset{},
	}
	exact, below := map[string]bitset{}, map[string]bitset{}
	note := func(m map[string]bitset, name string, i int) {
		if m[name] == nil {
			m[name] = b.none()
		}
		m[name].add(i)
	}
	for i := range b.count {
		for _, pattern := range of(i) {
			if name, wild := strings.CutPrefix(pattern, "*."); wild {
				note(below, name, i)
			} else if pattern != "*" {
				note(exact, pattern, i)
			}
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(below), func(x, y string) int { return cmp.Compare(labels(x), labels(y)) }) {
		n.below[name] = b.keep(below[name].or(n.fit(name))) // of the shorter ones
		n.depth = max(n.depth, labels(name))
	}
	fit := map[string]bitset{}
	for name, own := range exact {
		fit[name] = b.keep(own.or(n.fit(name)))
	}
	n.exact = fit
	return n
}

func labels(name string) int { return strings.Count(name, ".") + 1 }

// fit returns the items that a name fits; empty: there is none.
func (n *names) fit(name string) bitset {
	if name == "" {
		return n.rest
	}
	if len(n.exact) > 0 {
		if set, ok := n.exact[name]; ok {
			return set
		}
	}
	if len(n.below) == 0 {
		return n.any
	}
	for left := labels(name) - 1; left > 0; left-- {
		name = name[strings.IndexByte(name, '.')+1:]
		if left > n.depth {
			continue
		}
		if set, ok := n.below[name]; ok {
			return set
		}
	}
	return n.any
}
