package dbctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// maxAtoms bounds the value of one column.
const maxAtoms = 1 << 20

// decodeDatum reads <value> (RFC 7047, section 5.1).
func decodeDatum(t Type, data []byte) (Datum, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // float64 has not all integers
	var value any
	if err := dec.Decode(&value); err != nil {
		return Datum{}, err
	}
	return datumOf(t, value)
}

// datumOf reads a value of encoding/json with UseNumber.
func datumOf(t Type, value any) (Datum, error) {
	elements, kind := []any{value}, "set"
	if pair, ok := value.([]any); ok && len(pair) == 2 && (pair[0] == "set" || pair[0] == "map") {
		kind, _ = pair[0].(string)
		if elements, ok = pair[1].([]any); !ok {
			return Datum{}, fmt.Errorf("a %s without a list of elements", kind)
		}
	}
	if t.IsMap() != (kind == "map") || len(elements) > maxAtoms {
		return Datum{}, fmt.Errorf("a %s with %d elements where the schema has another type", kind, len(elements))
	}
	var d Datum
	for _, e := range elements {
		if err := d.append(t, e); err != nil {
			return Datum{}, err
		}
	}
	return newDatum(d), nil
}

func (d *Datum) append(t Type, element any) error {
	if t.IsMap() {
		pair, ok := element.([]any)
		if !ok || len(pair) != 2 {
			return fmt.Errorf("an element of a map that is no pair")
		}
		value, err := t.Value.Kind.decode(pair[1])
		if err != nil {
			return err
		}
		d.Values, element = append(d.Values, value), pair[0]
	}
	key, err := t.Key.Kind.decode(element)
	d.Keys = append(d.Keys, key)
	return err
}

func (k Kind) decode(value any) (Atom, error) {
	switch v := value.(type) {
	case string:
		if k == Strings {
			return v, nil
		}
	case bool:
		if k == Booleans {
			return v, nil
		}
	case json.Number:
		if k == Integers {
			return v.Int64()
		}
		if k == Reals {
			return v.Float64()
		}
	case []any:
		if text, ok := uuidOf(v); ok && k == UUIDs {
			return text, nil
		}
	}
	return nil, fmt.Errorf("%.100v is no %s", value, k)
}

// uuidOf reads ["uuid", ...].
func uuidOf(pair []any) (UUID, bool) {
	if len(pair) != 2 || pair[0] != "uuid" {
		return "", false
	}
	text, _ := pair[1].(string)
	return parseUUID(text)
}

// names are the rows that a transaction inserts, with the names they have in it.
type names map[UUID]string

// encode writes an atom in the JSON of RFC 7047.
func (n names) encode(b []byte, a Atom) []byte {
	switch a := a.(type) {
	case int64:
		return strconv.AppendInt(b, a, 10)
	case float64:
		return append(b, formatReal(a)...)
	case bool:
		return strconv.AppendBool(b, a)
	case string:
		return quote(b, a)
	case UUID:
		kind, text := "uuid", string(a)
		if name, ok := n[a]; ok {
			kind, text = "named-uuid", name
		}
		return fmt.Appendf(b, `["%s","%s"]`, kind, text)
	}
	return append(b, "null"...)
}

// formatReal writes 15 digits, as ovsdb-server does, or as many as it takes for the same number.
func formatReal(f float64) string {
	text := strconv.FormatFloat(f, 'g', 15, 64)
	if again, err := strconv.ParseFloat(text, 64); err != nil || again != f {
		text = strconv.FormatFloat(f, 'g', 17, 64)
	}
	return text
}

// datum writes a value in the JSON of RFC 7047.
func (n names) datum(b []byte, t Type, d Datum) []byte {
	if t.IsMap() {
		b = append(b, `["map",[`...)
		for i := range d.Keys {
			b = append(comma(b, i), '[')
			b = append(n.encode(b, d.Keys[i]), ',')
			b = append(n.encode(b, d.Values[i]), ']')
		}
		return append(b, "]]"...)
	}
	if len(d.Keys) == 1 {
		return n.encode(b, d.Keys[0])
	}
	b = append(b, `["set",[`...)
	for i := range d.Keys {
		b = n.encode(comma(b, i), d.Keys[i])
	}
	return append(b, "]]"...)
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

// quote writes a string of JSON. Only what must be escaped is.
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range []byte(s) {
		switch {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20:
			b = append(b, c)
		case shortEscapes[c] != 0:
			b = append(b, '\\', shortEscapes[c])
		default:
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	return append(b, '"')
}

var shortEscapes = [0x20]byte{'\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}
