package client

import (
	"encoding/json"
	"maps"
	"slices"
)

// Condition is what a row must meet (RFC 7047, section 5.1, <condition>). The zero value is
// one that no row meets.
type Condition struct {
	Column   string
	Function string // "==", "!=", "includes", "excludes"; of numbers also "<", "<=", ">", ">="
	Value    any    // string, bool, integer, float64, UUID, Set or Map
}

// MarshalJSON writes what a server reads.
func (c Condition) MarshalJSON() ([]byte, error) {
	if c.Column == "" {
		return []byte("false"), nil
	}
	return json.Marshal([]any{c.Column, c.Function, c.Value})
}

// UUID is a reference to a row, or what column _uuid has.
type UUID string

// MarshalJSON writes what a server reads.
func (u UUID) MarshalJSON() ([]byte, error) { return json.Marshal([]string{"uuid", string(u)}) }

// Set is a set of strings.
type Set []string

// MarshalJSON writes what a server reads.
func (s Set) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{"set", append([]string{}, s...)})
}

// Map is a map of strings.
type Map map[string]string

// MarshalJSON writes what a server reads.
func (m Map) MarshalJSON() ([]byte, error) {
	pairs := [][2]string{}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, [2]string{key, m[key]})
	}
	return json.Marshal([]any{"map", pairs})
}
