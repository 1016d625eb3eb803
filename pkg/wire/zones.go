package wire

import (
	"slices"
	"sync"

	"github.com/flowshunt/flowshunt/flows"
)

// zones are the conntrack zones of wires, two for each. They are taken from the highest
// downwards, because others number from 1 up: OVN its ports, Neutron its networks. A wire
// keeps its zones for as long as it exists. Those that it gives back are not given away again while
// there are others: connections of that wire are still in them, with all that they have counted.
type zones struct {
	mu   sync.Mutex
	have map[string][2]flows.Zone // by wire
	old  map[flows.Zone]bool      // given back
}

// learn notes which zones a wire has, as its flows say, unless another has them.
func (z *zones) learn(wire string, pair [2]flows.Zone) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if _, ok := z.have[wire]; !ok && pair[0] != 0 && pair[1] != 0 && pair[0] != pair[1] && !z.used(pair[0]) && !z.used(pair[1]) {
		z.set(wire, pair)
	}
}

// get returns the zones that a wire has already.
func (z *zones) get(wire string) (pair [2]flows.Zone, ok bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	pair, ok = z.have[wire]
	return pair, ok
}

// of returns the zones of a wire; false: there are none left. What is taken belongs to others.
func (z *zones) of(wire string, taken func(flows.Zone) bool) (pair [2]flows.Zone, ok bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if pair, ok := z.have[wire]; ok {
		return pair, true
	}
	if pair, ok = z.free(taken); !ok {
		z.old = nil // the oldest connections are long gone
		if pair, ok = z.free(taken); !ok {
			return pair, false
		}
	}
	z.set(wire, pair)
	return pair, true
}

// free returns the two highest zones that are nobody's.
func (z *zones) free(taken func(flows.Zone) bool) (pair [2]flows.Zone, ok bool) {
	found := 0
	for zone := flows.Zone(1<<16 - 1); zone > 0 && found < len(pair); zone-- {
		if !z.used(zone) && !z.old[zone] && (taken == nil || !taken(zone)) {
			pair[found] = zone
			found++
		}
	}
	return pair, found == len(pair)
}

// keep gives back the zones of all wires but these.
func (z *zones) keep(wires []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for name, pair := range z.have {
		if !slices.Contains(wires, name) {
			if z.old == nil {
				z.old = make(map[flows.Zone]bool)
			}
			z.old[pair[0]], z.old[pair[1]] = true, true
			delete(z.have, name)
		}
	}
}

func (z *zones) set(wire string, pair [2]flows.Zone) {
	if z.have == nil {
		z.have = make(map[string][2]flows.Zone)
	}
	z.have[wire] = pair
}

func (z *zones) used(zone flows.Zone) bool {
	for _, pair := range z.have {
		if pair[0] == zone || pair[1] == zone {
			return true
		}
	}
	return false
}
