package eswitch

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// Class groups the rules that match on the same fields, and therefore share one
// mask: one family and one kind of transport. The zero value means all classes.
type Class uint8

// The classes. Portless is what is matched by addresses and protocol alone.
const (
	TCPv4 Class = 1 + iota
	UDPv4
	SCTPv4
	Portlessv4
	TCPv6
	UDPv6
	SCTPv6
	Portlessv6

	Classes = int(Portlessv6) // how many there are
)

var classNames = [...]string{"all", "tcp4", "udp4", "sctp4", "portless4", "tcp6", "udp6", "sctp6", "portless6"}

// String returns a short lower-case name.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// IsIPv6 reports the family.
func (c Class) IsIPv6() bool { return c >= TCPv6 }

// ClassOf returns the class of packets with this tuple, and whether there is
// one: ICMP and what needs ports that no rule can match have none.
func ClassOf(t flows.Tuple) (Class, bool) {
	var c Class
	switch t.Proto {
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
	if t.IsIPv6() {
		c += TCPv6 - TCPv4
	}
	return c, t.IsValid()
}
