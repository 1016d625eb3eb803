package dbctl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind names a type of atoms, as schemas do.
type Kind string

// The kinds of atoms.
const (
	Integers Kind = "integer"
	Reals    Kind = "real"
	Booleans Kind = "boolean"
	Strings  Kind = "string"
	UUIDs    Kind = "uuid"
)

var kinds = []Kind{Integers, Reals, Booleans, Strings, UUIDs}

// Atom is one value: an int64, float64, bool, string or UUID.
type Atom any

// UUID is one in lower case with its hyphens.
type UUID string

// zeroUUID is the default value of uuids that must be there.
const zeroUUID UUID = "00000000-0000-0000-0000-000000000000"

// parseUUID reads the form of RFC 4122, in either case.
func parseUUID(s string) (UUID, bool) {
	return UUID(strings.ToLower(s)), len(s) == len(zeroUUID) && likeUUID(s)
}

// likeUUID reports whether s is the beginning of a uuid.
func likeUUID(s string) bool {
	for i, c := range []byte(s) {
		hex := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
		if i >= len(zeroUUID) || zeroUUID[i] == '-' && c != '-' || zeroUUID[i] != '-' && !hex {
			return false
		}
	}
	return true
}

// compareAtoms orders two atoms of one kind.
func compareAtoms(a, b Atom) int {
	switch a := a.(type) {
	case int64:
		b, _ := b.(int64)
		return cmp.Compare(a, b)
	case float64:
		b, _ := b.(float64)
		return cmp.Compare(a, b)
	case string:
		b, _ := b.(string)
		return cmp.Compare(a, b)
	case UUID:
		b, _ := b.(UUID)
		return cmp.Compare(a, b)
	case bool:
		b, _ := b.(bool)
		switch {
		case a == b:
			return 0
		case b:
			return -1
		}
		return 1
	}
	return 0
}

// initial is the value of what nobody has set.
func (k Kind) initial() Atom {
	switch k {
	case Integers:
		return int64(0)
	case Reals:
		return 0.0
	case Booleans:
		return false
	case UUIDs:
		return zeroUUID
	}
	return ""
}

// symbols finds the row that @name stands for. The zero value knows none.
type symbols func(name string, of Base) (UUID, error)

// parse reads an atom that is the whole of text.
func (b Base) parse(text string, names symbols) (Atom, error) {
	atom, err := b.read(text, names)
	if err != nil {
		return nil, err
	}
	return atom, b.check(atom)
}

func (b Base) read(text string, names symbols) (Atom, error) {
	if text == "" {
		return nil, errors.New(`nothing is no value; the empty string is written ""`)
	}
	switch b.Kind {
	case Integers:
		n, err := strconv.ParseInt(strings.TrimLeft(text, " "), 10, 64)
		return n, unless(err == nil, "%.200q is no integer", text)
	case Reals:
		f, err := strconv.ParseFloat(strings.TrimLeft(text, " "), 64)
		return f, unless(err == nil, "%.200q is no real number", text)
	case Booleans:
		value, ok := words[text]
		return value, unless(ok, "%.200q is no boolean; write true or false", text)
	case UUIDs:
		if name, ok := strings.CutPrefix(text, "@"); ok && names != nil {
			return names(name, b)
		}
		uuid, ok := parseUUID(text)
		return uuid, unless(ok, "%.200q is no uuid", text)
	}
	if text[0] == '"' {
		return unquote(text)
	}
	return text, nil
}

// words are how booleans are written.
var words = map[string]bool{"true": true, "yes": true, "on": true, "1": true, "false": false, "no": false, "off": false, "0": false}

func unless(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// check returns what a schema has against an atom.
func (b Base) check(atom Atom) error {
	if b.Enum != nil && !slices.ContainsFunc(b.Enum, func(a Atom) bool { return a == atom }) {
		return fmt.Errorf("%s is none of %s", Bare.atom(atom), Plain.Datum(Type{Key: b, Max: Unlimited}, Datum{Keys: b.Enum}))
	}
	switch a := atom.(type) {
	case int64:
		return unless(b.Integers[0] <= a && a <= b.Integers[1], "%d is not from %d to %d", a, b.Integers[0], b.Integers[1])
	case float64:
		return unless(b.Reals[0] <= a && a <= b.Reals[1], "%g is not from %g to %g", a, b.Reals[0], b.Reals[1])
	case string:
		n := utf8.RuneCountInString(a)
		switch {
		case strings.IndexByte(a, 0) >= 0:
			return fmt.Errorf("%.200q has a null byte", a)
		case !utf8.ValidString(a):
			return fmt.Errorf("%.200q is not in UTF-8", a)
		case n < b.Lengths[0] || n > b.Lengths[1]:
			return fmt.Errorf("%.200q has %d characters, which is not from %d to %d", a, n, b.Lengths[0], b.Lengths[1])
		}
	}
	return nil
}
