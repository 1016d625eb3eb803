package policy

import (
	"encoding/hex"
	"slices"
	"strings"
)

// Names are what the groups, or the tenant, of a port are called: ids, and names that
// people gave, which may be anything: also the id of something else. The zero value is that
// nothing is known.
type Names struct {
	List   []string // ids
	Called []string // names
	IDs    bool     // List has the ids of all that there are
	Named  bool     // Called has all names of all that there are, too
}

func (n *Names) equal(m *Names) bool {
	return n.IDs == m.IDs && n.Named == m.Named && slices.Equal(n.List, m.List) && slices.Equal(n.Called, m.Called)
}

// has judges whether one of some values is an id or a name of n. What has the form of an id is
// nobody's name: else whoever names a thing could meet what is said of another one.
func (n *Names) has(values []string) truth {
	result := no
	for _, v := range values {
		switch {
		case slices.ContainsFunc(n.List, func(s string) bool { return idOf(s) == idOf(v) }):
			return yes
		case !isID(v) && slices.Contains(n.Called, v):
			return yes
		case n.Named, n.IDs && isID(v):
		default:
			result = maybe
		}
	}
	return result
}

// isID reports whether s has the form of an id: a UUID, as OpenStack has them, with dashes
// (groups) or without (projects).
func isID(s string) bool {
	digits := strings.ReplaceAll(s, "-", "")
	_, err := hex.DecodeString(digits)
	return err == nil && len(digits) == 32
}

// idOf returns an id in its one form, and all else as it is.
func idOf(s string) string {
	if isID(s) {
		return strings.ToLower(strings.ReplaceAll(s, "-", ""))
	}
	return s
}
