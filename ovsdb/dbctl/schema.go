package dbctl

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Unlimited is Type.Max of columns without an upper bound.
const Unlimited = math.MaxInt

// Schema is the schema of a database (RFC 7047, section 3.2).
type Schema struct {
	Name   string
	Tables map[string]*Table
}

// Table is the schema of a table.
type Table struct {
	Name    string
	Columns map[string]*Column // without _uuid
	Indexes [][]string
	// Root says that its rows exist on their own. Those of other tables are removed by the
	// server as soon as no reference leads to them.
	Root bool
}

// Column is the schema of a column.
type Column struct {
	Name    string
	Type    Type
	Mutable bool // false: it can be written in new rows only
}

// uuidColumn is in every table.
var uuidColumn = &Column{Name: "_uuid", Type: Type{Key: Base{Kind: UUIDs}, Min: 1, Max: 1}}

// Type is what a column can hold: from Min to Max keys, each with a value if it is a map.
type Type struct {
	Key, Value Base // Value.Kind is "" where it is no map
	Min, Max   int
}

// IsMap reports whether keys have values.
func (t Type) IsMap() bool { return t.Value.Kind != "" }

// Base is a type of atoms, and what they are restricted to.
type Base struct {
	Kind       Kind
	Enum       []Atom     // the only ones allowed, sorted; nil = all
	Integers   [2]int64   // least and greatest
	Reals      [2]float64 // least and greatest
	Lengths    [2]int     // of strings, in characters
	References string     // table to which uuids lead; "" = they are no references
	Weak       bool       // such a reference does not keep its row
}

// UnmarshalJSON reads <database-schema>.
func (s *Schema) UnmarshalJSON(data []byte) error {
	var raw struct {
		Name   string
		Tables map[string]*struct {
			Columns map[string]*Column
			Indexes [][]string
			IsRoot  bool
		}
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	*s = Schema{Name: raw.Name, Tables: map[string]*Table{}}
	rooted := false
	for name, t := range raw.Tables {
		if t == nil {
			return fmt.Errorf("schema: table %.64q is null", name)
		}
		for column, c := range t.Columns {
			if c == nil {
				return fmt.Errorf("schema: column %.64q of table %.64q is null", column, name)
			}
			c.Name = column
		}
		s.Tables[name] = &Table{Name: name, Columns: t.Columns, Indexes: t.Indexes, Root: t.IsRoot}
		rooted = rooted || t.IsRoot
	}
	for _, t := range s.Tables {
		t.Root = t.Root || !rooted // RFC 7047: without any isRoot all tables are roots
	}
	return nil
}

// UnmarshalJSON reads <column-schema>.
func (c *Column) UnmarshalJSON(data []byte) error {
	raw := struct {
		Type    Type
		Mutable bool
	}{Mutable: true}
	err := json.Unmarshal(data, &raw)
	*c = Column{Type: raw.Type, Mutable: raw.Mutable}
	return err
}

// UnmarshalJSON reads <type>.
func (t *Type) UnmarshalJSON(data []byte) error {
	*t = Type{Min: 1, Max: 1}
	if data[0] == '"' {
		return json.Unmarshal(data, &t.Key)
	}
	var raw struct {
		Key, Value *Base
		Min        *int
		Max        any
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	if raw.Key == nil {
		return fmt.Errorf("a type without key: %.200s", data)
	}
	t.Key = *raw.Key
	if raw.Value != nil {
		t.Value = *raw.Value
	}
	if raw.Min != nil {
		t.Min = *raw.Min
	}
	switch bound := raw.Max.(type) {
	case string:
		t.Max = Unlimited
	case float64:
		t.Max = int(bound)
	}
	return nil
}

// UnmarshalJSON reads <base-type>.
func (b *Base) UnmarshalJSON(data []byte) error {
	raw := struct {
		Type                   Kind
		Enum                   json.RawMessage
		MinInteger, MaxInteger int64
		MinReal, MaxReal       float64
		MinLength, MaxLength   int
		RefTable, RefType      string
	}{
		MinInteger: math.MinInt64, MaxInteger: math.MaxInt64,
		MinReal: -math.MaxFloat64, MaxReal: math.MaxFloat64, MaxLength: math.MaxInt,
	}
	target := any(&raw)
	if data[0] == '"' {
		target = &raw.Type
	}
	if err := json.Unmarshal(data, target); err != nil {
		return err
	}
	if !slices.Contains(kinds, raw.Type) {
		return fmt.Errorf("unknown atomic type %.64q", raw.Type)
	}
	*b = Base{Kind: raw.Type, Integers: [2]int64{raw.MinInteger, raw.MaxInteger}, Reals: [2]float64{raw.MinReal, raw.MaxReal},
		Lengths: [2]int{raw.MinLength, raw.MaxLength}, References: raw.RefTable, Weak: raw.RefType == "weak"}
	if raw.Enum == nil {
		return nil
	}
	allowed, err := decodeDatum(Type{Key: Base{Kind: b.Kind}, Max: Unlimited}, raw.Enum)
	b.Enum = allowed.Keys
	return err
}

// columns returns all columns, in alphabetical order.
func (t *Table) columns() []*Column {
	var list []*Column
	for _, name := range slices.Sorted(maps.Keys(t.Columns)) {
		list = append(list, t.Columns[name])
	}
	return list
}
