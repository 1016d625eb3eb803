package secgroup

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// work is what one Apply gathers before it makes a Table, so that what many changes concern
// is made once.
type work struct {
	newPorts map[flows.LogicalPort]*port // nil: gone
	labels   map[uint32]label
	programs map[groupNo]program
	addrs    map[netip.Prefix][]addressEdit
	edited   map[*group]bool
	stale    map[*rule]bool // name a set that has appeared, or (true) vanished

	concern
}

func newWork() *work {
	return &work{
		newPorts: make(map[flows.LogicalPort]*port),
		labels:   make(map[uint32]label),
		programs: make(map[groupNo]program),
		addrs:    make(map[netip.Prefix][]addressEdit),
		edited:   make(map[*group]bool),
		stale:    make(map[*rule]bool),
		concern:  newConcern(),
	}
}
