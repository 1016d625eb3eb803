package ovn

import (
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// span is the numbers from first to last.
type span struct{ first, last number }

// spans are sorted, and neither overlap nor touch.
type spans []span

// spansOf returns the numbers below 1<<width that a comparison is true for. It is false
// for masks that leave out a bit above one that they have: such numbers are no few spans.
func spansOf(op relation, values []constant, width int) (spans, bool) {
	all := span{last: ones(width)}
	var in spans
	for _, v := range values {
		s, ok := spanOf(v, width)
		if !ok {
			return nil, false
		}
		in = append(in, s)
	}
	in = in.merged()
	switch op {
	case equal:
		return in, true
	case unequal:
		return in.complement(all), true
	}
	if len(values) == 0 {
		return nil, false
	}
	v := values[0].value
	switch op {
	case less:
		if v.isZero() {
			return nil, true
		}
		return spans{{last: v.prev()}}, true
	case lessEqual:
		return spans{{last: v}}, true
	case greater:
		if !v.less(all.last) {
			return nil, true
		}
		return spans{{v.next(), all.last}}, true
	}
	return spans{{v, all.last}}, true
}

// spanOf returns the numbers that equal a constant in the bits that its mask has.
func spanOf(v constant, width int) (span, bool) {
	free := v.mask.not().and(ones(width))
	if free.and(free.next()) != (number{}) || v.value.width() > width {
		return span{}, false
	}
	return span{v.value, v.value.or(free)}, true
}

func (s spans) merged() spans {
	slices.SortFunc(s, func(a, b span) int {
		switch {
		case a.first.less(b.first):
			return -1
		case b.first.less(a.first):
			return 1
		}
		return 0
	})
	var m spans
	for _, r := range s {
		if n := len(m); n > 0 && touches(m[n-1].last, r.first) {
			if m[n-1].last.less(r.last) {
				m[n-1].last = r.last
			}
			continue
		}
		m = append(m, r)
	}
	return m
}

// touches reports whether nothing is between the end of a span and the start of another
// that does not start before it.
func touches(last, first number) bool {
	return last == ones(128) || !last.next().less(first)
}

func (s spans) complement(all span) spans {
	var c spans
	first, done := all.first, false
	for _, r := range s {
		if first.less(r.first) {
			c = append(c, span{first, r.first.prev()})
		}
		if done = r.last == all.last; !done {
			first = r.last.next()
		}
	}
	if !done {
		c = append(c, span{first, all.last})
	}
	return c
}

func (s spans) intersect(o spans) spans {
	var c spans
	for i, j := 0, 0; i < len(s) && j < len(o); {
		first, last := s[i].first, s[i].last
		if first.less(o[j].first) {
			first = o[j].first
		}
		if o[j].last.less(last) {
			last = o[j].last
			j++
		} else {
			i++
		}
		if !last.less(first) {
			c = append(c, span{first, last})
		}
	}
	return c
}

func (s spans) isAll(width int) bool {
	return len(s) == 1 && s[0] == span{last: ones(width)}
}

// prefixes returns the numbers as prefixes of a family, or false if these were more
// than limit.
func (s spans) prefixes(f secgroup.Family, limit int) ([]netip.Prefix, bool) {
	var all []netip.Prefix
	for _, r := range s {
		for {
			// The largest block that starts here, is aligned and does not go past the end.
			size := min(r.first.trailingZeros(), familyWidth(f))
			for size > 0 && r.last.less(r.first.or(ones(size))) {
				size--
			}
			if len(all) >= limit {
				return nil, false
			}
			end := r.first.or(ones(size))
			all = append(all, prefixOf(f, r.first, size))
			if end == r.last {
				break
			}
			r.first = end.next()
		}
	}
	return all, true
}

func familyWidth(f secgroup.Family) int {
	if f == secgroup.IPv4 {
		return 32
	}
	return 128
}

func prefixOf(f secgroup.Family, n number, size int) netip.Prefix {
	if f == secgroup.IPv4 {
		return netip.PrefixFrom(n.addr4(), 32-size)
	}
	return netip.PrefixFrom(n.addr16(), 128-size)
}
