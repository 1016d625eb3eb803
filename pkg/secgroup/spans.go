package secgroup

import (
	"cmp"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// span is the keys from lo to hi, both included, and what a rule says of them. A key is a
// protocol and a port of it, as key makes it.
type span struct {
	verdict
	lo, hi uint32
}

func key(p flows.Proto, port uint16) uint32 { return uint32(p)<<16 | uint32(port) }

const lastKey = 255<<16 | 65535

func newSpan(v verdict, p flows.Proto, r PortRange) span {
	if !r.Some {
		r = PortRange{Last: 65535}
	}
	return span{v, key(p, r.First), key(p, r.Last)}
}

// segments are disjoint parts of the keys, in order, with the best that any span says of
// each. What is searched stands close together.
type segments struct {
	first []uint32 // key; each part ends before the next one's
	says  []verdict
}

// blocks says for each 1024 ports of a protocol whether anything can match there: if not,
// nothing need be searched. Protocols share its 64 bits.
type blocks uint64

const allBlocks = ^blocks(0)

func block(n uint32) blocks { return 1 << ((n ^ n>>6) % 64) }

func (b blocks) has(key uint32) bool { return b&block(key>>10) != 0 }

// blocks returns those that something is said about.
func (s *segments) blocks() (b blocks) {
	for i, v := range s.says {
		if v.rank == 0 {
			continue
		}
		for n := s.first[i] >> 10; n <= (s.first[i+1]-1)>>10 && b != allBlocks; n++ {
			b |= block(n)
		}
	}
	return b
}

// find returns what decides about a key. It halves without a branch on what it compares,
// which no processor could predict.
func (s *segments) find(key uint32) verdict {
	if len(s.first) == 0 || key < s.first[0] {
		return verdict{}
	}
	at := 0
	for n := len(s.first); n > 1; {
		half := n / 2
		atMost := (int64(s.first[at+half]) - int64(key) - 1) >> 63 // -1: first <= key, else 0
		at += half & int(atMost)
		n -= half
	}
	return s.says[at]
}

// add appends what v says from first on.
func (s *segments) add(v verdict, first uint32) {
	n := len(s.says)
	if n == 0 && v == (verdict{}) || n > 0 && s.says[n-1] == v {
		return
	}
	s.first, s.says = append(s.first, first), append(s.says, v)
}

// patch returns what s becomes where part adds what is said of the keys from lo to hi, and
// nothing has changed outside. It does not touch s.
func (s *segments) patch(lo, hi uint32, part func(out *segments)) (out segments) {
	before, _ := slices.BinarySearch(s.first, lo)
	out.first = append(make([]uint32, 0, len(s.first)+4), s.first[:before]...)
	out.says = append(make([]verdict, 0, len(s.first)+4), s.says[:before]...)
	part(&out)
	out.add(s.find(hi+1), hi+1)
	for i := s.after(hi + 1); i < len(s.first); i++ {
		out.add(s.says[i], s.first[i])
	}
	return out
}

// after returns the first segment that starts behind key.
func (s *segments) after(key uint32) int {
	i, _ := slices.BinarySearch(s.first, key+1)
	return i
}

// over adds what s says of the keys of p, or p where that is over it.
func (s *segments) over(out *segments, p span) {
	best := func(v verdict) verdict {
		if v.over(p.verdict) {
			return v
		}
		return p.verdict
	}
	out.add(best(s.find(p.lo)), p.lo)
	for i := s.after(p.lo); i < len(s.first) && s.first[i] <= p.hi; i++ {
		out.add(best(s.says[i]), s.first[i])
	}
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
			s.add(verdict{}, at)
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
