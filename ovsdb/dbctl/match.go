package dbctl

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// match finds the name that text stands for: in any case, with - for _, and cut short as
// long as it is one name's beginning only. The other result is what it could be, if it
// could be several.
func match(text string, all []string) (name string, several []string) {
	text = fold(text)
	for _, name := range all {
		switch folded := fold(name); {
		case folded == text:
			return name, nil
		case text != "" && strings.HasPrefix(folded, text):
			several = append(several, name)
		}
	}
	if len(several) == 1 {
		return several[0], nil
	}
	return "", several
}

func fold(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }

// Table finds a table by its name, which may be abbreviated.
func (s *Schema) Table(text string) (*Table, error) {
	name, several := match(text, slices.Sorted(maps.Keys(s.Tables)))
	switch {
	case several != nil:
		return nil, fmt.Errorf("table %.64q can be %s", text, strings.Join(several, ", "))
	case name == "":
		return nil, fmt.Errorf("there is no table %.64q in database %s", text, s.Name)
	}
	return s.Tables[name], nil
}

// Column finds a column by its name, which may be abbreviated.
func (t *Table) Column(text string) (*Column, error) {
	name, several := match(text, slices.Sorted(maps.Keys(t.Columns)))
	switch {
	case several != nil:
		return nil, fmt.Errorf("column %.64q of table %s can be %s", text, t.Name, strings.Join(several, ", "))
	case name == "":
		return nil, fmt.Errorf("there is no column %.64q in table %s", text, t.Name)
	}
	return t.Columns[name], nil
}

// shown finds a column that is only read, which _uuid is as well.
func (t *Table) shown(text string) (*Column, error) {
	if fold(text) == uuidColumn.Name {
		return uuidColumn, nil
	}
	return t.Column(text)
}

// written finds a column that is to be written in a row.
func (t *Table) written(text string, row *Row) (*Column, error) {
	c, err := t.Column(text)
	if err == nil && !c.Mutable && (row == nil || !row.created) {
		return nil, fmt.Errorf("column %s of table %s cannot be changed", c.Name, t.Name)
	}
	return c, err
}
