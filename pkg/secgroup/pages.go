package secgroup

import (
	"hash/maphash"
	"maps"

	"github.com/flowshunt/flowshunt/flows"
)

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

// portMap is a map of which a changed copy shares all parts that were not changed.
type portMap struct {
	seed  maphash.Seed
	parts [256]map[flows.LogicalPort]*port
}

func newPortMap() *portMap { return &portMap{seed: maphash.MakeSeed()} }

func (m *portMap) part(name flows.LogicalPort) uint8 {
	return uint8(maphash.String(m.seed, string(name)))
}

func (m *portMap) get(name flows.LogicalPort) *port { return m.parts[m.part(name)][name] }

// with returns a copy with other ports; a nil one leaves.
func (m *portMap) with(edits map[flows.LogicalPort]*port) *portMap {
	if len(edits) == 0 {
		return m
	}
	out := *m
	var own [256]bool
	for name, p := range edits {
		n := m.part(name)
		if !own[n] {
			own[n] = true
			if out.parts[n] = maps.Clone(out.parts[n]); out.parts[n] == nil {
				out.parts[n] = make(map[flows.LogicalPort]*port)
			}
		}
		if p == nil {
			delete(out.parts[n], name)
		} else {
			out.parts[n][name] = p
		}
	}
	return &out
}
