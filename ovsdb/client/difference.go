package client

import "reflect"

// maxAtoms bounds a set or map that grows by differences; one message bounds what it brings.
const maxAtoms = 1 << 20

// difference changes a set or map as update2 tells it (ovsdb-server(7), section 4.1.14).
// The old value is left as it is, because rows that were handed out share it.
func (r *reader) difference(v reflect.Value) {
	difference := reflect.New(v.Type()).Elem()
	if r.value(difference); r.err != nil {
		return
	}
	if v.Kind() == reflect.Map {
		v.Set(mergeMap(v, difference))
	} else {
		v.Set(mergeSet(v, difference))
	}
	if v.Len() > maxAtoms {
		r.fail("more than %d values", maxAtoms)
	}
	if v.Len() == 0 {
		v.SetZero()
	}
}

// mergeSet returns the members of one of both sets only.
func mergeSet(old, difference reflect.Value) reflect.Value {
	if old, ok := old.Interface().([]string); ok { // by far the most
		return reflect.ValueOf(mergeStrings(old, difference.Interface().([]string)))
	}
	toggled := make(map[any]bool, difference.Len())
	for i := range difference.Len() {
		toggled[difference.Index(i).Interface()] = true
	}
	merged := reflect.MakeSlice(old.Type(), 0, old.Len()+difference.Len())
	for _, set := range []reflect.Value{old, difference} {
		for i := range set.Len() {
			member := set.Index(i)
			if key := member.Interface(); toggled[key] == (set == difference) {
				merged = reflect.Append(merged, member)
			} else {
				delete(toggled, key)
			}
		}
	}
	return merged
}

func mergeStrings(old, difference []string) []string {
	toggled := make(map[string]bool, len(difference))
	for _, s := range difference {
		toggled[s] = true
	}
	merged := make([]string, 0, len(old)+len(difference))
	for _, s := range old {
		if toggled[s] {
			delete(toggled, s)
		} else {
			merged = append(merged, s)
		}
	}
	for _, s := range difference {
		if toggled[s] {
			delete(toggled, s)
			merged = append(merged, s)
		}
	}
	return merged
}

// mergeMap removes pairs that are in both maps, and adds, or replaces by key, the others.
func mergeMap(old, difference reflect.Value) reflect.Value {
	merged := reflect.MakeMapWithSize(old.Type(), old.Len()+difference.Len())
	for it := old.MapRange(); it.Next(); {
		merged.SetMapIndex(it.Key(), it.Value())
	}
	for it := difference.MapRange(); it.Next(); {
		if was := merged.MapIndex(it.Key()); was.IsValid() && was.Equal(it.Value()) {
			merged.SetMapIndex(it.Key(), reflect.Value{})
		} else {
			merged.SetMapIndex(it.Key(), it.Value())
		}
	}
	return merged
}
