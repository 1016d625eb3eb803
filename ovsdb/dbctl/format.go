package dbctl

import (
	"fmt"
	"strconv"
)

// Style is how values are written.
type Style string

// The styles. Plain can be read again: parseDatum returns what was written.
const (
	Plain Style = "string"
	Bare  Style = "bare" // without punctuation and quotation marks
	JSON  Style = "json" // as RFC 7047 has it
)

// ParseStyle reads the name of a style.
func ParseStyle(name string) (Style, error) {
	switch s := Style(name); s {
	case Plain, Bare, JSON:
		return s, nil
	}
	return "", fmt.Errorf("no format of data is called %.64q: want string, bare or json", name)
}

// Datum writes a value.
func (s Style) Datum(t Type, d Datum) string {
	if s == JSON {
		return string(names(nil).datum(nil, t, d))
	}
	var b []byte
	open, separator, closing := s.punctuation(t, d)
	b = append(b, open...)
	for i := range d.Keys {
		if i > 0 {
			b = append(b, separator...)
		}
		b = append(b, s.atom(d.Keys[i])...)
		if t.IsMap() {
			b = append(append(b, '='), s.atom(d.Values[i])...)
		}
	}
	return string(append(b, closing...))
}

// punctuation around and between elements. A single value that may be missing has no brackets.
func (s Style) punctuation(t Type, d Datum) (open, separator, closing string) {
	switch {
	case s == Bare:
		return "", " ", ""
	case t.IsMap():
		return "{", ", ", "}"
	case t.Max > 1 || d.Len() == 0:
		return "[", ", ", "]"
	}
	return "", "", ""
}

// atom writes an atom.
func (s Style) atom(a Atom) string {
	switch a := a.(type) {
	case int64:
		return strconv.FormatInt(a, 10)
	case float64:
		return formatReal(a)
	case bool:
		return strconv.FormatBool(a)
	case UUID:
		return string(a)
	case string:
		if s == Bare || isWord(a) {
			return a
		}
		return string(quote(nil, a))
	}
	return ""
}

// isWord reports whether a string is written without quotation marks: where it could not be
// taken for a value of another kind.
func isWord(s string) bool {
	if _, uuid := parseUUID(s); uuid || s == "" || s == "true" || s == "false" {
		return false
	}
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_'
		other := '0' <= c && c <= '9' || c == '-' || c == '.'
		if !letter && (i == 0 || !other) {
			return false
		}
	}
	return true
}
