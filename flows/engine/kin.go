package engine

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// maxKin bounds the entries that are looked at for one connection. It has as many as it
// passes zones, twice perhaps; and other tenants may use its tuples.
const maxKin = 16

// kin are entries that may be of one connection, whatever their zones: those with a tuple
// of it in either orientation, those with another tuple of one of these, and so on. That
// they are of one connection only a path tells, never the tuples.
type kin struct {
	list   [maxKin]*entry
	turned [maxKin]bool // its original direction is the other one
	n      int
	over   bool // there are more
}

// kin returns the entries that packets of a tuple may meet before, in and behind the zone
// that they are addressed so in.
func (t *table) kin(tuple flows.Tuple) (k kin) {
	t.meet(&k, tuple, false)
	for i := 0; i < k.n; i++ {
		if e := k.list[i]; e.nat != nil {
			t.meet(&k, e.key.Tuple, k.turned[i])
			t.meet(&k, e.leaves(), k.turned[i])
		}
	}
	return k
}

// meet adds the entries that a tuple comes to or goes out of.
func (t *table) meet(k *kin, tuple flows.Tuple, turned bool) {
	o := orientationless(tuple)
	for e := t.heads[o]; e != nil && !k.over; e = e.next {
		k.add(e, turned != (e.key.Tuple != tuple))
	}
	if len(t.far) == 0 {
		return
	}
	for e := t.far[o]; e != nil && !k.over; e = e.nat.next {
		k.add(e, turned != (e.leaves() != tuple))
	}
}

func (k *kin) add(e *entry, turned bool) {
	switch {
	case slices.Contains(k.list[:k.n], e):
	case k.n == maxKin:
		k.over = true
	default:
		k.list[k.n], k.turned[k.n] = e, turned
		k.n++
	}
}

// each yields the entries, and whether their original direction is the other one.
func (k *kin) each(yield func(e *entry, turned bool) bool) {
	for i, e := range k.list[:k.n] {
		if !yield(e, k.turned[i]) {
			return
		}
	}
}

// sessions yields the sessions that they have, each once.
func (k *kin) sessions(yield func(*session) bool) {
	for i, e := range k.list[:k.n] {
		before := slices.ContainsFunc(k.list[:i], func(b *entry) bool { return b.session == e.session })
		if e.session != nil && !before && !yield(e.session) {
			return
		}
	}
}

// along returns the entries that packets of the original direction may meet from where
// they are addressed by a tuple.
func (t *table) along(tuple flows.Tuple) (list []*entry) {
	way := []flows.Tuple{tuple}
	for i := 0; i < len(way); i++ {
		for e := t.group(way[i]); e != nil; e = e.next {
			if e.key.Tuple != way[i] {
				continue
			}
			list = append(list, e)
			if e.nat != nil && len(way) < maxKin && !slices.Contains(way, e.leaves()) {
				way = append(way, e.leaves())
			}
		}
	}
	return list
}
