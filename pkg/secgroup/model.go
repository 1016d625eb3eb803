package secgroup

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// GroupID names a set of ports that rules apply to: a security group, an OVN port group
// on one logical switch, or all ports of a switch.
type GroupID string

// SetID names a set of addresses: those of a remote group's members, an address group, an
// OVN address set.
type SetID string

// RuleID names a rule in its source.
type RuleID string

// Update is what a source knows, or what has changed of it since its last Update. Values
// are the source's no more once they were handed over: nobody changes them.
type Update struct {
	// Reset says that nothing holds of what earlier updates told: this is all there is.
	Reset bool
	Ports map[flows.LogicalPort]*Port // whole; nil: it is gone
	Rules map[RuleID]*Rule            // whole; nil: it is gone
	Sets  map[SetID]SetChange
}

// Port is a logical port. The zero value is bound here, in no group, and permits nothing.
type Port struct {
	// Reason is why nothing may be offloaded on the port whatever its rules say
	// (PortUnbound, PortMigrating, SGUnknown), or empty.
	Reason flows.Reason
	Detail string // for a person, why that is so; empty with an empty Reason
	// Open means that it has no security groups at all (port security is off): everything
	// is permitted.
	Open   bool
	Groups []GroupID // whose rules apply, each once
	// Addresses are those that the instance may use (port security), masked: what has another
	// one at its end is denied whatever rules say. Empty: any.
	Addresses []netip.Prefix
	// Permissive means that what no rule matches is permitted, as by OVN unless ACLs say
	// otherwise; Neutron's groups deny it.
	Permissive bool
	Owner      Owner
}

// Action is what a rule does with the packets that it matches.
type Action uint8

// The actions. The zero value is none of them, so that a rule without one counts as
// Unknown. Where rules of one tier and priority contradict each other, the one that comes
// later in this list wins: what happens then is not defined in OVN.
const (
	_              Action = iota
	Allow                 // and the replies, by conntrack
	AllowStateless        // this packet only
	Drop                  // or reject
	Unknown               // its source could not understand it: whatever it decides is unknown
)

// Rule decides about packets in one direction at the ports of some groups. Of all rules
// that match, the one with the lowest Tier decides, and in it the one with the highest
// Priority. An AllowStateless that matches takes effect even where a better Allow decides,
// because such packets never reach conntrack (ACL.priority in ovn-nb(5)); a better Drop
// still drops them.
type Rule struct {
	Name      string // for a person: the network service's own id of it, its match
	Groups    []GroupID
	Direction flows.Direction
	Tier      uint8
	Priority  uint16
	Action    Action
	Matches   []Match // any of them; none: it matches nothing
}

// Match is a set of packets: all conditions must hold. The zero value is every IP packet.
type Match struct {
	Family        Family
	Proto         flows.Proto // where HasProto
	HasProto      bool        // false: any protocol
	Remote, Local Addrs       // of the other end, of the instance itself
	// SrcPorts and DstPorts are ranges of ports; for ICMP and ICMPv6 SrcPorts is the range
	// of types and DstPorts that of codes. The zero value is any.
	SrcPorts, DstPorts PortRange
}

// Family restricts a match to one family of addresses.
type Family uint8

// The families. The zero value is both.
const (
	AnyFamily Family = iota
	IPv4
	IPv6
)

// Addrs is a condition on an address: that it is in one of Prefixes or Sets, where there
// is any of these, and in none of NotSets. The zero value is any address.
type Addrs struct {
	Prefixes      []netip.Prefix // masked
	Sets, NotSets []SetID
}

// IsAny reports whether every address fits.
func (a *Addrs) IsAny() bool {
	return len(a.Prefixes) == 0 && len(a.Sets) == 0 && len(a.NotSets) == 0
}

// PortRange is the ports from First to Last where Some is true, else any.
type PortRange struct {
	First, Last uint16
	Some        bool
}

// SetChange is the new content of a set, or what has changed of it. Where Add and Remove
// have the same prefix, it is a member.
//
// Sets that a rule names and that are not there (any more) are no error: of an Allow, no
// address is in such a set; but a rule with other actions is unknown where it would apply if
// all addresses were, and one with it in NotSets where it would if none were.
type SetChange struct {
	Gone        bool // there is no such set any more; the rest is empty
	Replace     bool // Add is all there is
	Add, Remove []netip.Prefix
}
