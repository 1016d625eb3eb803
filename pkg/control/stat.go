package control

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Stat is one counter or gauge.
type Stat struct {
	Name   string            // snake_case, ends in its unit: "offloaded_bytes"
	Labels map[string]string // as {"reason": "mouse"}; nil: none
	Value  uint64
}

// LabelText returns the labels as "a=1,b=2", sorted.
func (s *Stat) LabelText() string {
	pairs := make([]string, 0, len(s.Labels))
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		pairs = append(pairs, name+"="+s.Labels[name])
	}
	return strings.Join(pairs, ",")
}

// sortStats orders by name and labels.
func sortStats(list []Stat) {
	slices.SortStableFunc(list, func(a, b Stat) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.LabelText(), b.LabelText()))
	})
}
