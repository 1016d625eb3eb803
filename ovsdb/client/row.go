package client

import (
	"reflect"
	"strconv"
)

// fieldsOf maps the column names of a row type to its fields, those of embedded structs
// included.
func fieldsOf(t reflect.Type) map[string]*field {
	fields := map[string]*field{}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("ovsdb"); name != "" && f.IsExported() {
			fields[name] = &field{index: f.Index}
		}
	}
	return fields
}

// value reads a <value> (RFC 7047, section 5.1) by the kind of field that modelgen chose for
// its column: a pointer for an optional one, a slice for a set, a map for a map.
func (r *reader) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Map:
		r.mapping(v)
	case reflect.Slice:
		if strings, ok := v.Addr().Interface().(*[]string); ok { // by far the most
			*strings = nil
			r.members(func() { *strings = append(*strings, r.name()) })
			return
		}
		v.SetZero()
		r.members(func() {
			member := reflect.New(v.Type().Elem()).Elem()
			r.atom(member)
			v.Set(reflect.Append(v, member))
		})
	case reflect.Pointer:
		v.SetZero()
		r.members(func() {
			if !v.IsNil() {
				r.fail("several values where one at most is allowed")
				return
			}
			v.Set(reflect.New(v.Type().Elem()))
			r.atom(v.Elem())
		})
	default:
		r.atom(v)
	}
}

// members calls member for each atom of a set, which is to read it. A set of one can be
// written as its member, and a uuid is an array, too.
func (r *reader) members(member func()) {
	if r.peek() != '[' {
		member()
		return
	}
	begin := r.pos
	r.enter('[')
	switch tag := r.bytes(); string(tag) {
	case "uuid":
		r.pos = begin
		member()
	case "set":
		for r.enter('['); r.more(']'); {
			member()
		}
		r.end(']')
	default:
		r.fail("%.64q is no set", tag)
	}
}

// mapping reads a <map>.
func (r *reader) mapping(v reflect.Value) {
	r.enter('[')
	if tag := r.bytes(); string(tag) != "map" {
		r.fail("%.64q is no map", tag)
	}
	put := r.pair(v)
	for r.enter('['); r.more(']'); {
		r.enter('[')
		put()
		r.end(']')
	}
	if r.end(']'); v.Len() == 0 {
		v.SetZero()
	}
}

// pair empties a map and returns what reads a key and a value of it.
func (r *reader) pair(v reflect.Value) func() {
	if strings, ok := v.Addr().Interface().(*map[string]string); ok {
		*strings = map[string]string{}
		return func() { key := r.name(); (*strings)[key] = r.name() }
	}
	v.Set(reflect.MakeMap(v.Type()))
	return func() {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		r.atom(key)
		r.atom(value)
		v.SetMapIndex(key, value)
	}
}

// atom reads an <atom>.
func (r *reader) atom(v reflect.Value) {
	var err error
	switch v.Kind() {
	case reflect.String:
		v.SetString(r.name())
	case reflect.Bool:
		var b bool
		word := string(r.word())
		if b = word == "true"; !b && word != "false" {
			r.fail("%.64q where true or false belongs", word)
		}
		v.SetBool(b)
	case reflect.Int:
		var n int64
		if n, err = strconv.ParseInt(string(r.word()), 10, 64); err != nil {
			r.fail("%w", err)
		}
		v.SetInt(n)
	case reflect.Float64:
		var n float64
		if n, err = strconv.ParseFloat(string(r.word()), 64); err != nil {
			r.fail("%w", err)
		}
		v.SetFloat(n)
	default:
		r.fail("a field of type %v", v.Type())
	}
}

// name reads a string, or ["uuid", "..."].
func (r *reader) name() string {
	if r.peek() != '[' {
		return r.text()
	}
	r.enter('[')
	if tag := r.bytes(); string(tag) != "uuid" {
		r.fail("%.64q is no atom", tag)
	}
	uuid := r.text()
	r.end(']')
	return uuid
}
