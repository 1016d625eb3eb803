package eswitch

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// Class groups rules that match on the same fields, and therefore share a filter
// protocol and most often one mask: what the outermost tag of their packets is, the
// family and the kind of transport. Tunnels need no classes of their own: what comes in
// in one comes in at its own device. The zero value means all classes.
type Class uint8

// The classes of rules for packets without a tag. Portless is what is matched by
// addresses and protocol alone. The same eight follow for packets with a tag of a
// customer, and then for those with a tag of a provider.
const (
	TCPv4 Class = 1 + iota
	UDPv4
	SCTPv4
	Portlessv4
	TCPv6
	UDPv6
	SCTPv6
	Portlessv6

	perTag = 8

	// Classes is how many there are of rules.
	Classes = 3 * perTag
)

// The classes of guards: without a tag one for each family, as the filter protocol is
// that of the tag where there is one.
const (
	GuardIPv4 Class = Classes + 1 + iota
	GuardIPv6
	GuardCustomer
	GuardProvider

	// GuardClasses is how many there are of guards.
	GuardClasses = 4
	// AllClasses is the number of the last class.
	AllClasses = Classes + GuardClasses
)

var classNames = [...]string{"tcp4", "udp4", "sctp4", "portless4", "tcp6", "udp6", "sctp6", "portless6"}
var tagNames = [...]string{"", "vlan-", "svlan-"}
var guardNames = [...]string{"guard4", "guard6", "vlan-guard", "svlan-guard"}

// String returns a short lower-case name.
func (c Class) String() string {
	switch {
	case c == 0:
		return "all"
	case c <= Classes:
		return tagNames[(c-1)/perTag] + classNames[(c-1)%perTag]
	case c.IsGuard():
		return guardNames[c-GuardIPv4]
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// IsGuard reports whether guards stand there, and not rules of sessions.
func (c Class) IsGuard() bool { return c > Classes && c <= AllClasses }

// IsIPv6 reports the family. The classes of guards for tagged packets have both.
func (c Class) IsIPv6() bool {
	return c == GuardIPv6 || c <= Classes && (c-1)%perTag >= TCPv6-1
}

// TagType returns the type of the outermost tag of packets, 0 for none.
func (c Class) TagType() uint16 {
	switch {
	case c == GuardProvider, c > 2*perTag && c <= Classes:
		return flows.TagProvider
	case c == GuardCustomer, c > perTag && c <= Classes:
		return flows.TagCustomer
	}
	return 0
}

// ClassOf returns the class of a rule, and whether there is one: ICMP and what needs
// ports that no rule can match have none.
func ClassOf(r flows.Rule) (Class, bool) {
	var c Class
	switch r.Tuple.Proto {
	case flows.TCP:
		c = TCPv4
	case flows.UDP:
		c = UDPv4
	case flows.SCTP:
		c = SCTPv4
	case flows.ESP, flows.AH, flows.GRE:
		c = Portlessv4
	default:
		return 0, false
	}
	if r.Tuple.IsIPv6() {
		c += TCPv6 - TCPv4
	}
	switch r.Tags[0].Type {
	case 0:
	case flows.TagCustomer:
		c += perTag
	case flows.TagProvider:
		c += 2 * perTag
	default:
		return 0, false
	}
	return c, r.Tuple.IsValid()
}

// ClassOfGuard returns the class of what GuardOf returned.
func ClassOfGuard(r flows.Rule) Class {
	switch {
	case r.Tags[0].Type == flows.TagCustomer:
		return GuardCustomer
	case r.Tags[0].Type == flows.TagProvider:
		return GuardProvider
	case r.Tuple.IsIPv6():
		return GuardIPv6
	}
	return GuardIPv4
}
