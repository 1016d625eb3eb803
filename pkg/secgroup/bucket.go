package secgroup

import (
	"cmp"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// entry is a match of a rule, less the conditions by which its bucket was chosen.
type entry struct {
	*verdict
	proto    flows.Proto
	anyProto bool
	ports    PortRange   // of a tuple's DstPort
	rest     *conditions // further ones, ports among them; or nil
}

// bucket holds the matches of a group that have one condition on one address in common,
// and decides among them. It is never changed.
type bucket struct {
	whole
	protos []protocol // by number
	rest   []entry    // with further conditions, best first
}

// whole is what says the same of all ports of a protocol, or of all protocols.
type whole struct {
	all []*verdict // in no order
	top *verdict   // the best of them
}

// protocol is what only matches packets of one protocol.
type protocol struct {
	whole
	proto flows.Proto
	spans []span // in no order
	segs  segments
}

// edit is what changes in a bucket: matches of the rules gone leave, then those of add join.
type edit struct {
	gone map[flows.RuleRef]bool
	add  []entry
}

func (e *edit) drops(v *verdict) bool { return e.gone[v.ref] }

// edit returns what b becomes, nil: empty. b may be nil.
func (b *bucket) edit(e *edit) *bucket {
	if b == nil {
		b = new(bucket)
	}
	all := make([]*verdict, 0)
	some := make(map[flows.Proto][]entry)
	rest := make([]entry, 0)
	for _, a := range e.add {
		switch {
		case a.rest != nil:
			rest = append(rest, a)
		case a.anyProto:
			all = append(all, a.verdict)
		default:
			some[a.proto] = append(some[a.proto], a)
		}
	}
	n := &bucket{
		whole:  b.whole.edit(e, all),
		protos: editProtocols(b.protos, e, some),
		rest:   editRest(b.rest, e, rest),
	}
	if len(n.all)+len(n.protos)+len(n.rest) == 0 {
		return nil
	}
	return n
}

func (w whole) edit(e *edit, add []*verdict) whole {
	if len(add) == 0 && !slices.ContainsFunc(w.all, e.drops) {
		return w
	}
	kept := make([]*verdict, 0, len(w.all)+len(add))
	for _, v := range w.all {
		if !e.drops(v) {
			kept = append(kept, v)
		}
	}
	kept = append(kept, add...)
	return whole{all: kept, top: best(kept)}
}

func editRest(rest []entry, e *edit, add []entry) []entry {
	if len(add) == 0 && !slices.ContainsFunc(rest, func(r entry) bool { return e.drops(r.verdict) }) {
		return rest
	}
	kept := make([]entry, 0, len(rest)+len(add))
	for _, r := range rest {
		if !e.drops(r.verdict) {
			kept = append(kept, r)
		}
	}
	kept = append(kept, add...)
	slices.SortStableFunc(kept, func(a, b entry) int {
		if c := cmp.Compare(b.rank, a.rank); c != 0 {
			return c
		}
		return cmp.Compare(a.ref, b.ref)
	})
	return kept
}

// editProtocols consumes add.
func editProtocols(protos []protocol, e *edit, add map[flows.Proto][]entry) []protocol {
	out := make([]protocol, 0, len(protos)+len(add))
	for _, p := range protos {
		if p = p.edit(e, add[p.proto]); !p.empty() {
			out = append(out, p)
		}
		delete(add, p.proto)
	}
	for proto, list := range add {
		out = append(out, protocol{proto: proto}.edit(e, list))
	}
	slices.SortFunc(out, func(a, b protocol) int { return cmp.Compare(a.proto, b.proto) })
	return out
}

func (p protocol) empty() bool { return len(p.all)+len(p.spans) == 0 }

func (p protocol) edit(e *edit, add []entry) protocol {
	var all []*verdict
	var some []span
	for _, a := range add {
		if a.ports.Some {
			some = append(some, span{a.verdict, a.ports.First, a.ports.Last})
		} else {
			all = append(all, a.verdict)
		}
	}
	p.whole = p.whole.edit(e, all)
	p.spans, p.segs = editSpans(p.spans, p.segs, e, some)
	return p
}

// editSpans looks at the ports anew that lie between those that change.
func editSpans(spans []span, segs segments, e *edit, add []span) ([]span, segments) {
	lo, hi := uint16(65535), uint16(0)
	kept := make([]span, 0, len(spans)+len(add))
	for _, s := range spans {
		if e.drops(s.verdict) {
			lo, hi = min(lo, s.lo), max(hi, s.hi)
		} else {
			kept = append(kept, s)
		}
	}
	if len(kept) == len(spans) && len(add) == 0 {
		return spans, segs
	}
	for _, s := range add {
		lo, hi = min(lo, s.lo), max(hi, s.hi)
		kept = append(kept, s)
	}
	return kept, segs.patch(kept, lo, hi)
}
