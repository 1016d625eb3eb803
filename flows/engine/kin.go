package engine

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// maxKin bounds the entries that one connection is taken to have. It has as many as it
// passes zones, twice perhaps; and other tenants may use its tuples.
const maxKin = 16

// kin are entries that may be of one connection, whatever their zones: those with a tuple
// of it in either orientation, those with another tuple of one of these, and so on. That
// they are of one connection only a path tells, never the tuples.
type kin struct {
	list   [maxKin]*entry
	turned [maxKin]bool // its original direction is the other one
	n      int
	over   bool // there are more: those in the list are any of them
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
	t.named(tuple, func(e *entry, other bool) bool {
		k.add(e, turned != other)
		return !k.over
	})
}

// named yields the entries that a tuple comes to or goes out of, and whether that is in
// their reply direction.
func (t *table) named(tuple flows.Tuple, yield func(e *entry, other bool) bool) {
	o := orientationless(tuple)
	for e := t.heads[o]; e != nil; e = e.next {
		if !yield(e, e.key.Tuple != tuple) {
			return
		}
	}
	if len(t.far) == 0 {
		return
	}
	for e := t.far[o]; e != nil; e = e.nat.next {
		if !yield(e, e.leaves() != tuple) {
			return
		}
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

// allKin are what kin would have without its bound. Whoever can make as many entries must
// not thereby hide one of them.
type allKin struct {
	table *table
	tuple flows.Tuple
}

func (t *table) allKin(tuple flows.Tuple) allKin { return allKin{t, tuple} }

// each is as kin.each.
func (a allKin) each(yield func(e *entry, turned bool) bool) {
	k := a.table.kin(a.tuple)
	if !k.over {
		k.each(yield)
		return
	}
	a.table.reach(a.tuple, yield)
}

// reach yields all where there are many.
func (t *table) reach(tuple flows.Tuple, yield func(e *entry, turned bool) bool) {
	type name struct {
		tuple  flows.Tuple
		turned bool
	}
	var list []*entry
	turned, asked := make(map[*entry]bool), make(map[flows.Tuple]bool)
	names := []name{{tuple, false}}
	for i := 0; i < len(names); i++ {
		n, o := names[i], orientationless(names[i].tuple)
		if asked[o] {
			continue
		}
		asked[o] = true
		t.named(n.tuple, func(e *entry, other bool) bool {
			if _, before := turned[e]; before {
				return true
			}
			list, turned[e] = append(list, e), n.turned != other
			if e.nat != nil {
				names = append(names, name{e.key.Tuple, turned[e]}, name{e.leaves(), turned[e]})
			}
			return true
		})
	}
	for _, e := range list {
		if !yield(e, turned[e]) {
			return
		}
	}
}

// sessionsOf returns the sessions that all kin of a tuple have, each once.
func (t *table) sessionsOf(tuple flows.Tuple) (list []*session) {
	for e := range t.allKin(tuple).each {
		if e.session != nil && !slices.Contains(list, e.session) {
			list = append(list, e.session)
		}
	}
	return list
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
