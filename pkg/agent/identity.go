package agent

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// identities gives a new id to a port whose row stays but whose network device is
// another one, even if that has the same ifindex, or whose place in the network is
// another one. What was found out of the port before, its sessions and what was
// seen there, then is of a port that is gone.
type identities struct {
	last  flows.PortID
	known map[identity]flows.PortID
	seen  map[identity]flows.PortID
}

type identity struct {
	row   flows.PortID
	life  uint64 // of the network device
	bond  string // the devices of the bond that it belongs to
	place path.Port
}

// placeOf returns what says where a port stands, without what only says whether it
// may be used now.
func placeOf(p path.Port) path.Port {
	p.ID, p.Name = 0, ""
	if p.IsTunnel() {
		p.Ofport = 0 // of whatever tunnels there are now
	}
	p.Up, p.Closed, p.Optout, p.Chosen, p.QoS, p.Mirrored, p.NotInHW = false, false, false, false, false, false, false
	return p
}

func (i *identities) begin() { i.seen = make(map[identity]flows.PortID) }

// of returns the id of a row with a device in a place, and in a bond: rules of one member
// stand at all others too, so that one that comes or goes makes each another port.
func (i *identities) of(row flows.PortID, life uint64, p path.Port, bond []int32) flows.PortID {
	key := identity{row, life, fmt.Sprint(bond), placeOf(p)}
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
