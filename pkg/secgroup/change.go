package secgroup

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// Change says which connections may be judged otherwise than before. One that is in none of
// its lists is judged as it was, except that another rule may permit it now, and that what
// was not permitted may be now.
type Change struct {
	Ports []flows.LogicalPort // any at these ports
	Rules []flows.RuleRef     // those that one of these rules decided
	// Addrs are addresses that left or joined a set: those that have one of them at either
	// end.
	Addrs []netip.Addr
	// Owners means that Table.Owner says another thing of some port. No rule looks at that.
	Owners bool
}
