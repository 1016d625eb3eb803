package client

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// columnsOf maps the column names of a row type to its fields, those of embedded structs
// included.
func columnsOf(t reflect.Type) map[string][]int {
	fields := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("ovsdb"); name != "" && f.IsExported() {
			fields[name] = f.Index
		}
	}
	return fields
}

// decodeValue reads a value by the kind of field that modelgen chose for its
// column: a pointer for an optional one, a slice for a set, a map for a map.
func decodeValue(raw json.RawMessage, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Map:
		return decodeMap(raw, v)
	case reflect.Slice:
		atoms, err := setAtoms(raw)
		if err != nil {
			return err
		}
		v.Set(reflect.MakeSlice(v.Type(), len(atoms), len(atoms)))
		for i, atom := range atoms {
			if err := decodeAtom(atom, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Pointer:
		atoms, err := setAtoms(raw)
		if err != nil {
			return err
		}
		if len(atoms) > 1 {
			return fmt.Errorf("%d values where one at most is allowed", len(atoms))
		}
		v.SetZero()
		for _, atom := range atoms {
			v.Set(reflect.New(v.Type().Elem()))
			return decodeAtom(atom, v.Elem())
		}
		return nil
	}
	return decodeAtom(raw, v)
}

// decodeAtom reads a string, number, boolean or ["uuid", "..."].
func decodeAtom(raw json.RawMessage, v reflect.Value) error {
	if v.Kind() == reflect.String && isArray(raw) {
		var uuid []string
		if err := json.Unmarshal(raw, &uuid); err != nil {
			return err
		}
		if len(uuid) != 2 || uuid[0] != "uuid" {
			return fmt.Errorf("%.64s is no atom", raw)
		}
		v.SetString(uuid[1])
		return nil
	}
	return json.Unmarshal(raw, v.Addr().Interface())
}

func decodeMap(raw json.RawMessage, v reflect.Value) error {
	items, err := tagged(raw, "map")
	if err != nil {
		return err
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(items)))
	for _, item := range items {
		var pair []json.RawMessage
		if err := json.Unmarshal(item, &pair); err != nil {
			return err
		}
		if len(pair) != 2 {
			return fmt.Errorf("%.64s is no pair of key and value", item)
		}
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		if err := decodeAtom(pair[0], key); err != nil {
			return err
		}
		if err := decodeAtom(pair[1], value); err != nil {
			return err
		}
		v.SetMapIndex(key, value)
	}
	return nil
}

// setAtoms returns the members of a set. A set of one is written as its member.
func setAtoms(raw json.RawMessage) ([]json.RawMessage, error) {
	if !isArray(raw) {
		return []json.RawMessage{raw}, nil
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, err
	}
	if len(parts) == 2 && string(parts[0]) == `"uuid"` {
		return []json.RawMessage{raw}, nil
	}
	return tagged(raw, "set")
}

// tagged returns the items of ["set", [...]] or ["map", [...]].
func tagged(raw json.RawMessage, tag string) ([]json.RawMessage, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, err
	}
	if len(parts) != 2 || string(parts[0]) != `"`+tag+`"` {
		return nil, fmt.Errorf("%.64s is no %s", raw, tag)
	}
	var items []json.RawMessage
	err := json.Unmarshal(parts[1], &items)
	return items, err
}

func isArray(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '[' }
