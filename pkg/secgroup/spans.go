package secgroup

import (
	"cmp"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// span is the keys from lo to hi, both included, and what a rule says of them. A key is a
// protocol and a port of it, as key makes it.
type span struct {
	*verdict
	lo, hi uint32
}

func key(p flows.Proto, port uint16) uint32 { return uint32(p)<<16 | uint32(port) }

const lastKey = 255<<16 | 65535

func newSpan(v *verdict, p flows.Proto, r PortRange) span {
	if !r.Some {
		r = PortRange{Last: 65535}
	}
	return span{v, key(p, r.First), key(p, r.Last)}
}

// segment is the keys from first to the one before the next segment's, and the best that
// any span says of them; nil: none does. It has the verdict's rank, so that most verdicts
// need not be read.
type segment struct {
	*verdict
	rank  rank
	first uint32
}

// segments are disjoint and in order.
type segments []segment

// find returns what decides about a key; its verdict is nil where nothing does.
func (s segments) find(key uint32) segment {
	lo, hi := 0, len(s) // what stands before lo starts at or before key
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s[mid].first <= key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return segment{}
	}
	return s[lo-1]
}

// add appends what v says from first on.
func (s *segments) add(v *verdict, first uint32) {
	switch n := len(*s); {
	case n == 0 && v == nil, n > 0 && (*s)[n-1].verdict == v:
	case v == nil:
		*s = append(*s, segment{first: first})
	default:
		*s = append(*s, segment{v, v.rank, first})
	}
}

// patch returns what s becomes where spans are all there are now, and nothing has changed
// outside of the keys from lo to hi. It does not touch s.
func (s segments) patch(spans []span, lo, hi uint32) segments {
	out := make(segments, 0, len(s)+4)
	for _, g := range s {
		if g.first >= lo {
			break
		}
		out.add(g.verdict, g.first)
	}
	out.sweep(spans, lo, hi)
	out.add(s.find(hi+1).verdict, hi+1)
	for _, g := range s {
		if g.first > hi+1 {
			out.add(g.verdict, g.first)
		}
	}
	return out
}

// sweep adds what the best of spans says of the keys from lo to hi.
func (s *segments) sweep(spans []span, lo, hi uint32) {
	var todo []span
	for _, p := range spans {
		if p.lo <= hi && p.hi >= lo {
			p.lo = max(p.lo, lo)
			todo = append(todo, p)
		}
	}
	slices.SortFunc(todo, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })

	var active heap
	for at, next := lo, lo; at <= hi; at = next {
		for len(todo) > 0 && todo[0].lo == at {
			active.push(todo[0])
			todo = todo[1:]
		}
		for len(active) > 0 && active[0].hi < at {
			active.pop()
		}
		next = hi + 1
		if len(todo) > 0 {
			next = todo[0].lo
		}
		if len(active) == 0 {
			s.add(nil, at)
			continue
		}
		s.add(active[0].verdict, at)
		next = min(next, active[0].hi+1)
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
