package path

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// maxNames bounds by how many tuples one direction of a connection is addressed on its way.
const maxNames = 8

// namesOf returns, by Dir, the tuples by which packets of a connection are addressed
// somewhere on their way: that of the request first, then those into which zones
// translate it.
func namesOf(req Request) (names [2][]flows.Tuple) {
	orig := []flows.Tuple{req.Key.Tuple}
	for i := 0; i < len(orig) && len(orig) < maxNames; i++ {
		for _, s := range append(req.States, flows.ZoneState{Tuple: req.Key.Tuple, Reply: req.Reply}) {
			for _, name := range renamed(&s, orig[i]) {
				if !slices.Contains(orig, name) {
					orig = append(orig, name)
				}
			}
		}
	}
	names[flows.Orig] = orig
	for _, name := range orig {
		names[flows.Reply] = append(names[flows.Reply], name.Reverse())
	}
	return names
}

// renamed returns by what packets are addressed on the other side of a zone that are
// addressed by a tuple on one side of it.
func renamed(s *flows.ZoneState, name flows.Tuple) (names []flows.Tuple) {
	if _, leaves, ok := s.Translate(name); ok {
		names = append(names, leaves)
	}
	if _, came, ok := s.Translate(name.Reverse()); ok {
		names = append(names, came.Reverse())
	}
	return names
}
