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
	programs map[groupNo]*program
	addrs    map[netip.Prefix][]addressEdit
	edited   map[*group]bool
	stale    map[*rule]bool // name a set that has appeared, or (true) vanished

	concern
}

func newWork() *work {
	return &work{
		newPorts: make(map[flows.LogicalPort]*port),
		labels:   make(map[uint32]label),
		programs: make(map[groupNo]*program),
		addrs:    make(map[netip.Prefix][]addressEdit),
		edited:   make(map[*group]bool),
		stale:    make(map[*rule]bool),
		concern:  newConcern(),
	}
}

// numbering gives numbers from 1 on, and one that was freed again after settle.
type numbering struct {
	last        uint32
	freed, late []uint32
}

func (n *numbering) take() uint32 {
	if i := len(n.freed) - 1; i >= 0 {
		no := n.freed[i]
		n.freed = n.freed[:i]
		return no
	}
	n.last++
	return n.last
}

func (n *numbering) free(no uint32) { n.late = append(n.late, no) }

// settle is called between two Applies: within one, a number stands for one thing only.
func (n *numbering) settle() {
	n.freed = append(n.freed, n.late...)
	n.late = n.late[:0]
}
