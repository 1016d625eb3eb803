package secgroup

import (
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"testing"
)

// TestHashMap shows that a map has what was put into it after any sequence of edits, with
// hashes that are often the same, and that maps before the last one stay what they were.
func TestHashMap(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := rand.New(rand.NewPCG(seed, 1))
	type version struct {
		is   *hashMap[int, int]
		want map[int]int
	}
	const keys = 60
	for range 50 {
		last := version{newHashMap[int, int](func(_ maphash.Seed, k int) uint64 { return uint64(k%7) << 54 }), map[int]int{}}
		var all []version
		for range 30 {
			edits := make(map[int]*int)
			want := maps.Clone(last.want)
			for range w.IntN(20) {
				k, v := w.IntN(keys), w.Int()
				if edits[k], want[k] = &v, v; w.IntN(2) == 0 {
					edits[k] = nil
					delete(want, k)
				}
			}
			last = version{last.is.with(edits), want}
			all = append(all, last)
		}
		for i, v := range all {
			for k := range keys {
				want, there := v.want[k]
				if got := v.is.get(k); (got != nil) != there || there && *got != want {
					t.Fatalf("version %d, key %d: got %v, want %d, %v", i, k, got, want, there)
				}
			}
		}
	}
}
