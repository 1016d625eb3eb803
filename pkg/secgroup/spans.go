package secgroup

import (
	"cmp"
	"slices"
)

// span is the ports from lo to hi, both included, and what a rule says of them.
type span struct {
	*verdict
	lo, hi uint16
}

// segment is the ports from first to the one before the next segment's, and the best that
// any span says of them; nil: none does.
type segment struct {
	*verdict
	first uint16
}

// segments are disjoint and in order.
type segments []segment

// find returns what decides about port, or nil.
func (s segments) find(port uint16) *verdict {
	lo, hi := 0, len(s) // what starts before lo starts at or before port
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s[mid].first <= port {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return nil
	}
	return s[lo-1].verdict
}

// patch returns what s becomes where spans are all there are now, and nothing has changed
// outside of the ports from lo to hi. It does not touch s.
func (s segments) patch(spans []span, lo, hi uint16) segments {
	out := make(segments, 0, len(s)+4)
	add := func(v *verdict, first uint16) {
		if n := len(out); n == 0 && v == nil || n > 0 && out[n-1].verdict == v {
			return
		}
		out = append(out, segment{v, first})
	}
	for _, g := range s {
		if g.first >= lo {
			break
		}
		add(g.verdict, g.first)
	}
	sweep(spans, lo, hi, add)
	if hi == 65535 {
		return out
	}
	add(s.find(hi+1), hi+1)
	for _, g := range s {
		if g.first > hi+1 {
			add(g.verdict, g.first)
		}
	}
	return out
}

// sweep tells what the best of spans says of the ports from lo to hi, in their order.
func sweep(spans []span, lo, hi uint16, tell func(v *verdict, first uint16)) {
	var todo []span
	for _, s := range spans {
		if s.lo <= hi && s.hi >= lo {
			s.lo = max(s.lo, lo)
			todo = append(todo, s)
		}
	}
	slices.SortFunc(todo, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })

	var active heap
	for at, next := int(lo), 0; at <= int(hi); at = next {
		for len(todo) > 0 && int(todo[0].lo) == at {
			active.push(todo[0])
			todo = todo[1:]
		}
		for len(active) > 0 && int(active[0].hi) < at {
			active.pop()
		}
		next = int(hi) + 1
		if len(todo) > 0 {
			next = int(todo[0].lo)
		}
		if len(active) == 0 {
			tell(nil, uint16(at))
			continue
		}
		tell(active[0].verdict, uint16(at))
		next = min(next, int(active[0].hi)+1)
	}
}

// heap has the span that is over all others first.
type heap []span

func (h *heap) push(s span) {
	*h = append(*h, s)
	a := *h
	for i := len(a) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a[i].over(a[parent].verdict) {
			return
		}
		a[i], a[parent] = a[parent], a[i]
		i = parent
	}
}

func (h *heap) pop() {
	a := *h
	a[0] = a[len(a)-1]
	a = a[:len(a)-1]
	*h = a
	for i := 0; ; {
		top := i
		for kid := 2*i + 1; kid <= 2*i+2 && kid < len(a); kid++ {
			if a[kid].over(a[top].verdict) {
				top = kid
			}
		}
		if top == i {
			return
		}
		a[i], a[top] = a[top], a[i]
		i = top
	}
}
