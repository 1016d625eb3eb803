package secgroup

import (
	"cmp"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// entry is a match of a rule, less the conditions by which its bucket was chosen.
type entry struct {
	verdict
	proto    flows.Proto
	anyProto bool
	ports    PortRange   // of a tuple's DstPort
	rest     *conditions // further ones, ports among them; or nil
}

// bucket holds the matches of a group that have one condition on one address in common,
// and decides among them. It is never changed.
type bucket struct {
	best verdict // of all
	segs segments
	rest []entry // with further conditions, best first

	all   []verdict // that match any protocol, in no order
	spans []span    // those of one protocol, in no order
}

// edit is what changes in a bucket: matches of the rules gone leave, then those of add join.
type edit struct {
	gone map[flows.RuleRef]bool
	add  []entry
}

func (e *edit) drops(v verdict) bool { return e.gone[v.ref] }

// edit returns what b becomes, nil: empty. b may be nil.
func (b *bucket) edit(e *edit) *bucket {
	n := new(bucket)
	if b != nil {
		*n = *b
	}
	var all []verdict
	var spans []span
	var rest []entry
	for _, a := range e.add {
		switch {
		case a.rest != nil:
			rest = append(rest, a)
		case a.anyProto:
			all = append(all, a.verdict)
		default:
			spans = append(spans, newSpan(a.verdict, a.proto, a.ports))
		}
	}
	n.editAll(e, all)
	n.editSpans(e, spans)
	n.editRest(e, rest)
	if len(n.all)+len(n.spans)+len(n.rest) == 0 {
		return nil
	}
	return n
}

// limit returns the rank that no match is over.
func (b *bucket) limit() rank {
	limit := b.best.rank
	for _, v := range b.segs.says {
		limit = max(limit, v.rank)
	}
	if len(b.rest) > 0 {
		limit = max(limit, b.rest[0].rank)
	}
	return limit
}

// blocks returns those that b can match in.
func (b *bucket) blocks() blocks {
	if len(b.all)+len(b.rest) > 0 {
		return allBlocks
	}
	return b.segs.blocks()
}

func (b *bucket) editAll(e *edit, add []verdict) {
	if len(add) == 0 && !slices.ContainsFunc(b.all, e.drops) {
		return
	}
	kept := make([]verdict, 0, len(b.all)+len(add))
	for _, v := range b.all {
		if !e.drops(v) {
			kept = append(kept, v)
		}
	}
	b.all, b.best = append(kept, add...), verdict{}
	for _, v := range b.all {
		if v.over(b.best) {
			b.best = v
		}
	}
}

// fewSpans is how many are put over the others one by one: it costs a copy of the segments
// for each, while looking at all spans anew costs a sort.
const fewSpans = 8

// editSpans looks only at those keys anew that the rules gone have decided about, or that
// many are added to.
func (b *bucket) editSpans(e *edit, add []span) {
	kept := make([]span, 0, len(b.spans)+len(add))
	for _, s := range b.spans {
		if !e.drops(s.verdict) {
			kept = append(kept, s)
		}
	}
	if len(kept) == len(b.spans) && len(add) == 0 {
		return
	}
	lo, hi := b.segs.decidedBy(e)
	if len(add) > fewSpans {
		for _, s := range add {
			lo, hi = min(lo, s.lo), max(hi, s.hi)
			kept = append(kept, s)
		}
		add = nil
	}
	if lo <= hi {
		b.segs = b.segs.patch(lo, hi, func(out *segments) { out.sweep(kept, lo, hi) })
	}
	for _, s := range add {
		segs := b.segs
		b.segs = segs.patch(s.lo, s.hi, func(out *segments) { segs.over(out, s) })
	}
	b.spans = append(kept, add...)
}

// decidedBy returns between which keys rules that are gone decide; none: hi is below lo.
func (s *segments) decidedBy(e *edit) (lo, hi uint32) {
	lo = lastKey
	for i, v := range s.says {
		if e.drops(v) {
			lo, hi = min(lo, s.first[i]), s.first[i+1]-1 // the last decides nothing
		}
	}
	return lo, hi
}

func (b *bucket) editRest(e *edit, add []entry) {
	drops := func(r entry) bool { return e.drops(r.verdict) }
	if len(add) == 0 && !slices.ContainsFunc(b.rest, drops) {
		return
	}
	b.rest = append(slices.DeleteFunc(slices.Clone(b.rest), drops), add...)
	slices.SortStableFunc(b.rest, func(a, b entry) int {
		if c := cmp.Compare(b.verdict.rank, a.verdict.rank); c != 0 {
			return c
		}
		return cmp.Compare(a.ref, b.ref)
	})
}
