package secgroup

const pageSize = 64

// pages is an array of which a changed copy shares all pages that were not changed.
type pages[T any] []*[pageSize]T

// get returns what is at i; the zero value where nothing was put.
func (p pages[T]) get(i uint32) (v T) {
	if n := int(i / pageSize); n < len(p) && p[n] != nil {
		return p[n][i%pageSize]
	}
	return v
}

// with returns a copy with other values at some places.
func (p pages[T]) with(edits map[uint32]T) pages[T] {
	if len(edits) == 0 {
		return p
	}
	size := len(p)
	for i := range edits {
		size = max(size, int(i/pageSize)+1)
	}
	out := make(pages[T], size)
	copy(out, p)
	own := make([]bool, size)
	for i, v := range edits {
		n := i / pageSize
		if !own[n] {
			page := new([pageSize]T)
			if out[n] != nil {
				*page = *out[n]
			}
			out[n], own[n] = page, true
		}
		out[n][i%pageSize] = v
	}
	return out
}
