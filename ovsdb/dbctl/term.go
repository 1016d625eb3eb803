package dbctl

import (
	"fmt"
	"strings"
)

// term is COLUMN[:KEY], maybe with an operator and a value behind it.
type term struct {
	column string
	key    string // as it was written
	hasKey bool
	op     string
	value  string // as it was written
}

// operators are longest first where one begins another.
var operators = []string{"{not-in}", "{in}", "{<=}", "{>=}", "{!=}", "{=}", "{<}", "{>}", "<=", ">=", "!=", "=", "<", ">"}

// assigns is the only operator where a value is set.
var assigns = []string{"="}

// parseTerm reads a term; without ops nothing may follow the key.
func parseTerm(text string, ops []string) (term, error) {
	s := &scanner{text: text}
	var t term
	var err error
	if t.column, err = s.column(); err != nil {
		return t, err
	}
	if t.hasKey = s.take(':'); t.hasKey {
		if t.key, err = s.word(); err != nil {
			return t, err
		}
	}
	if ops == nil {
		return t, unless(s.rest() == "", "%.200q: did not expect %.64q", text, s.rest())
	}
	for _, op := range ops {
		if value, ok := strings.CutPrefix(s.rest(), op); ok && value != "" {
			t.op, t.value = op, value
			return t, nil
		}
	}
	return t, fmt.Errorf("%.200q: want COLUMN[:KEY]=VALUE%s", text, otherOperators(ops))
}

// column reads the name of a column.
func (s *scanner) column() (string, error) {
	name, err := s.word()
	if err == nil && name == "" {
		err = fmt.Errorf("%.200q: the name of a column is missing", s.text)
	}
	return name, err
}

func otherOperators(ops []string) string {
	if len(ops) == 1 {
		return ""
	}
	return ", or for = one of " + strings.Join(ops, " ")
}

// element returns the atom that the key stands for in a map.
func (t term) element(c *Column, names symbols) (Atom, error) {
	if !c.Type.IsMap() {
		return nil, fmt.Errorf("column %s is no map, so it has no key %.64q", c.Name, t.key)
	}
	return c.Type.Key.parse(t.key, names)
}

// assigned returns what is to be set: the whole column, or a map of one pair if there is a key.
func (t term) assigned(c *Column, names symbols) (Datum, error) {
	if !t.hasKey {
		return parseDatum(c.Type, t.value, names)
	}
	key, err := t.element(c, names)
	if err != nil {
		return Datum{}, err
	}
	value, err := c.Type.Value.parse(t.value, names)
	return Datum{Keys: []Atom{key}, Values: []Atom{value}}, err
}

// holds reports whether a column of a row is as the term says.
func (t term) holds(c *Column, have Datum, names symbols) (bool, error) {
	valueType := c.Type
	var key Atom
	if t.hasKey {
		var err error
		if key, err = t.element(c, names); err != nil {
			return false, err
		}
		valueType = Type{Key: c.Type.Value, Max: Unlimited}
	}
	want, err := parseDatum(valueType, t.value, names)
	if err != nil {
		return false, err
	}
	ofSets := strings.HasPrefix(t.op, "{")
	if t.hasKey {
		value, ok := have.Get(key)
		if have = (Datum{}); ok {
			have.Keys = []Atom{value}
		} else if !ofSets {
			return false, nil
		}
	}
	if ofSets {
		return compareSets(t.op, have, want), nil
	}
	return compareOrder(t.op, have.compare(want)), nil
}

func compareSets(op string, have, want Datum) bool {
	switch op {
	case "{=}":
		return have.compare(want) == 0
	case "{!=}":
		return have.compare(want) != 0
	case "{<}":
		return want.includes(have) && have.Len() < want.Len()
	case "{<=}", "{in}":
		return want.includes(have)
	case "{>}":
		return have.includes(want) && have.Len() > want.Len()
	case "{>=}":
		return have.includes(want)
	}
	return want.excludes(have) // {not-in}
}

func compareOrder(op string, c int) bool {
	switch op {
	case "=":
		return c == 0
	case "!=":
		return c != 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0 // >=
}
