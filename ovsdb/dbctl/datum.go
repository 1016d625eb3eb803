package dbctl

import (
	"slices"
	"sort"
)

// Datum is the value of a column: a set of atoms, or a map. It is not changed after it was
// made; the zero value is the empty set or map.
type Datum struct {
	Keys   []Atom // increasing
	Values []Atom // of a map: one for each of Keys
}

// SetOf returns the set of atoms, which are of one kind.
func SetOf(atoms ...Atom) Datum {
	d := newDatum(Datum{Keys: slices.Clone(atoms)})
	d.Keys = slices.CompactFunc(d.Keys, func(a, b Atom) bool { return compareAtoms(a, b) == 0 })
	return d
}

// MapOf returns a map of strings.
func MapOf(pairs map[string]string) Datum {
	var d Datum
	for key, value := range pairs {
		d.Keys, d.Values = append(d.Keys, key), append(d.Values, value)
	}
	return newDatum(d)
}

// initial is the value of a column of a new row.
func (t Type) initial() Datum {
	switch {
	case t.Min == 0:
		return Datum{}
	case t.IsMap():
		return Datum{Keys: []Atom{t.Key.Kind.initial()}, Values: []Atom{t.Value.Kind.initial()}}
	}
	return Datum{Keys: []Atom{t.Key.Kind.initial()}}
}

// Len returns the number of keys.
func (d Datum) Len() int { return len(d.Keys) }

// find returns where key is, or belongs.
func (d Datum) find(key Atom) (int, bool) {
	return slices.BinarySearchFunc(d.Keys, key, compareAtoms)
}

// Get returns the value of a key.
func (d Datum) Get(key Atom) (Atom, bool) {
	if i, ok := d.find(key); ok && d.Values != nil {
		return d.Values[i], true
	}
	return nil, false
}

// has reports whether the i-th element of other is in d: with the same value, if it has one.
func (d Datum) has(other Datum, i int) bool {
	at, ok := d.find(other.Keys[i])
	return ok && (other.Values == nil || d.Values == nil || compareAtoms(d.Values[at], other.Values[i]) == 0)
}

// includes reports whether all elements of other are in d.
func (d Datum) includes(other Datum) bool {
	for i := range other.Keys {
		if !d.has(other, i) {
			return false
		}
	}
	return true
}

// excludes reports whether no element of other is in d.
func (d Datum) excludes(other Datum) bool {
	for i := range other.Keys {
		if d.has(other, i) {
			return false
		}
	}
	return true
}

// compare orders by number of elements, then by keys, then by values.
func (d Datum) compare(other Datum) int {
	if n := len(d.Keys) - len(other.Keys); n != 0 {
		return n
	}
	if c := slices.CompareFunc(d.Keys, other.Keys, compareAtoms); c != 0 {
		return c
	}
	return slices.CompareFunc(d.Values, other.Values, compareAtoms)
}

// plus returns d and what of other has no key of d.
func (d Datum) plus(other Datum) Datum {
	return newDatum(d.with(other, func(i int) bool { _, ok := d.find(other.Keys[i]); return !ok }))
}

// put returns d with the elements of other in the place of those with the same keys.
func (d Datum) put(other Datum) Datum { return other.plus(d) }

// minus returns d without the elements of other: where d is a map and other a set, without
// those keys; where both are maps, without the pairs that are in both.
func (d Datum) minus(other Datum) Datum {
	return newDatum(Datum{}.with(d, func(i int) bool { return !other.has(d, i) }))
}

// with returns the elements of d and those elements of other that are wanted.
func (d Datum) with(other Datum, wanted func(i int) bool) Datum {
	sum := Datum{Keys: slices.Clone(d.Keys), Values: slices.Clone(d.Values)}
	for i := range other.Keys {
		if wanted(i) {
			sum.Keys = append(sum.Keys, other.Keys[i])
			if other.Values != nil {
				sum.Values = append(sum.Values, other.Values[i])
			}
		}
	}
	return sum
}

// newDatum sorts the elements.
func newDatum(d Datum) Datum {
	sort.Sort((*byKey)(&d))
	return d
}

// duplicate returns whether there are equal keys in a sorted datum.
func (d Datum) duplicate() bool {
	for i := 1; i < len(d.Keys); i++ {
		if compareAtoms(d.Keys[i-1], d.Keys[i]) == 0 {
			return true
		}
	}
	return false
}

type byKey Datum

func (d *byKey) Len() int           { return len(d.Keys) }
func (d *byKey) Less(i, j int) bool { return compareAtoms(d.Keys[i], d.Keys[j]) < 0 }
func (d *byKey) Swap(i, j int) {
	d.Keys[i], d.Keys[j] = d.Keys[j], d.Keys[i]
	if d.Values != nil {
		d.Values[i], d.Values[j] = d.Values[j], d.Values[i]
	}
}
