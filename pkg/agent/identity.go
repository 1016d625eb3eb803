package agent

import "github.com/flowshunt/flowshunt/flows"

// identities gives a new id to a port whose row stays but whose network device is
// another one, even if that has the same ifindex.
type identities struct {
	last  flows.PortID
	known map[identity]flows.PortID
	seen  map[identity]flows.PortID
}

type identity struct {
	row  flows.PortID
	life uint64 // of the network device
}

func (i *identities) begin() { i.seen = make(map[identity]flows.PortID) }

// of returns the id of a row with a device.
func (i *identities) of(row flows.PortID, life uint64) flows.PortID {
	key := identity{row, life}
	id, ok := i.known[key]
	if !ok {
		i.last++
		id = i.last
	}
	i.seen[key] = id
	return id
}

// end forgets ports that were not asked for since begin.
func (i *identities) end() { i.known = i.seen }
