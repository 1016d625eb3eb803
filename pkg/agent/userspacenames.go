package agent

import (
	"iter"

	"github.com/flowshunt/flowshunt/flows"
)

// maxNames bounds how many zones in a row are followed.
const maxNames = 8

// names tell, of packets that were translated, how they were addressed before. Of two
// tenants with the same addresses the names are mixed up: nothing but estimates depends
// on them.
type names map[flows.Tuple]flows.Tuple

// add takes what an entry translates.
func (n names) add(e *flows.Entry) {
	if !e.HasNAT() || len(n) >= maxTallied {
		return
	}
	n[e.Reply.Reverse()] = e.Key.Tuple
	n[e.Key.Tuple.Reverse()] = e.Reply
}

// before returns a tuple, and by what others its packets were addressed before that.
func (n names) before(t flows.Tuple) iter.Seq[flows.Tuple] {
	return func(yield func(flows.Tuple) bool) {
		for range maxNames {
			was, ok := n[t]
			if !yield(t) || !ok {
				return
			}
			t = was
		}
	}
}

func (u *userspaceConns) rename(n names) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.names = n
}
