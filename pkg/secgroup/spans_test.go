package secgroup

import (
	"math/rand/v2"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// TestSegments shows that the segments of spans say of each key what the best span does,
// after any sequence of edits, of few and of many spans.
func TestSegments(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := rand.New(rand.NewPCG(seed, 1))
	const keys, wide = 24, 700 // so that they are not all of one block
	for range 300 {
		b := new(bucket)
		for ref := flows.RuleRef(1); ref < 200; {
			e := &edit{gone: make(map[flows.RuleRef]bool)}
			for _, s := range b.spans {
				if w.IntN(8) == 0 {
					e.gone[s.ref] = true
				}
			}
			var add []span
			for range []int{1, 2, 20}[w.IntN(3)] {
				lo, hi := uint32(w.IntN(keys)), uint32(w.IntN(keys))
				add = append(add, span{verdict{ref: ref, rank: rank(1 + w.IntN(4))}, min(lo, hi) * wide, max(lo, hi)*wide + wide - 1})
				ref++
			}
			b.editSpans(e, add)
			blocks := b.segs.blocks()
			for key := range uint32(keys + 1) {
				key *= wide
				var want verdict
				for _, s := range b.spans {
					if s.lo <= key && key <= s.hi && s.over(want) {
						want = s.verdict
					}
				}
				if got := b.segs.find(key); got != want {
					t.Fatalf("key %d: got %v, want %v; spans %v", key, got, want, b.spans)
				}
				if want.rank > 0 && !blocks.has(key) {
					t.Fatalf("key %d: in none of blocks %x; spans %v", key, blocks, b.spans)
				}
			}
		}
	}
}
