package control

import (
	"fmt"
	"strings"
)

// nameOf returns the v-th name, counted from 1, or the number itself: a newer
// agent may know values that this program does not.
func nameOf[T ~uint8](v T, names ...string) string {
	if v >= 1 && int(v) <= len(names) {
		return names[v-1]
	}
	return fmt.Sprintf("unknown-%d", uint8(v))
}

func parseName[T ~uint8](what, s string, names []string) (T, error) {
	for i, name := range names {
		if name == s {
			return T(i + 1), nil
		}
	}
	return 0, fmt.Errorf("%s %q: want one of %s", what, s, strings.Join(names, ", "))
}
