package policy

import "slices"

// numbers says which items a port number fits: segments from one number to the next.
type numbers struct {
	rest  bitset   // items without such a condition
	first []uint16 // of each segment; the first is 0. Empty: there are no conditions
	says  []bitset
}

func newNumbers(b *builder, of func(i int) []PortRange) numbers {
	n := numbers{rest: b.where(func(i int) bool { return len(of(i)) == 0 })}
	begin, end := map[int][]int{}, map[int][]int{} // items, by number
	cuts := []int{0}
	for i := range b.count {
		for _, r := range of(i) {
			first, after := int(r.First), int(r.Last)+1
			begin[first] = append(begin[first], i)
			end[after] = append(end[after], i)
			cuts = append(cuts, first, after)
		}
	}
	if len(cuts) == 1 {
		return n
	}
	slices.Sort(cuts)
	set := slices.Clone(n.rest)
	for _, c := range slices.Compact(cuts) {
		if c > 65535 {
			break
		}
		for _, i := range end[c] {
			set.remove(i)
		}
		for _, i := range begin[c] {
			set.add(i)
		}
		n.first, n.says = append(n.first, uint16(c)), append(n.says, b.fix(set))
	}
	return n
}

func (n *numbers) fit(port uint16) bitset {
	if len(n.first) == 0 {
		return n.rest
	}
	lo, hi := 0, len(n.first)
	for hi-lo > 1 {
		if middle := (lo + hi) / 2; n.first[middle] <= port {
			lo = middle
		} else {
			hi = middle
		}
	}
	return n.says[lo]
}
