package check

import (
	"cmp"
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/pkg/link"
)

// device is a network device of the namespace of the calling thread.
type device struct {
	index int32
	link.State
}

// readDevices lists the network devices in the order of their indexes.
func readDevices() ([]device, error) {
	links, err := link.List()
	if err != nil {
		return nil, err
	}
	return devicesOf(links), nil
}

func devicesOf(links map[int32]link.State) (list []device) {
	for index, state := range links {
		list = append(list, device{index, state})
	}
	slices.SortFunc(list, func(a, b device) int { return cmp.Compare(a.index, b.index) })
	return list
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
