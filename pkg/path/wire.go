package path

import (
	"fmt"
	"slices"
	"strings"
)

// Wire is a virtual wire: what enters at one port leaves, unchanged, by the
// other. It is configured, not learned.
type Wire struct{ A, B string } // port names

// ParseWires reads a comma-separated list of pairs: "p0:p1,p2:p3". A port is at
// one end of one wire.
func ParseWires(s string) ([]Wire, error) {
	var wires []Wire
	seen := make(map[string]bool)
	for text := range strings.SplitSeq(s, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		a, b, ok := strings.Cut(text, ":")
		if !ok || a == "" || b == "" || strings.Contains(b, ":") {
			return nil, fmt.Errorf("wire %q: want PORT:PORT", text)
		}
		for _, name := range []string{a, b} {
			if seen[name] {
				return nil, fmt.Errorf("wire %q: %s is at another end already", text, name)
			}
			seen[name] = true
		}
		wires = append(wires, Wire{a, b})
	}
	return wires, nil
}

// onWires reports whether a and b are the two ends of one wire.
func onWires(wires []Wire, a, b *Port) bool {
	return slices.ContainsFunc(wires, func(w Wire) bool {
		return a.Name == w.A && b.Name == w.B || a.Name == w.B && b.Name == w.A
	})
}

// anyWire reports whether a or b is an end of any wire. Such a port reaches the
// other end and nothing else.
func anyWire(wires []Wire, a, b *Port) bool {
	return slices.ContainsFunc(wires, func(w Wire) bool {
		return a.Name == w.A || a.Name == w.B || b.Name == w.A || b.Name == w.B
	})
}
