package flows

// Direction says which way a packet passes a port, in Neutron's words: seen from the
// instance behind it.
type Direction uint8

// Egress leaves the instance (OVN: from-lport, matched by inport), Ingress reaches it
// (OVN: to-lport, matched by outport). They index two-element arrays.
const (
	Egress Direction = iota
	Ingress
)

// String returns "egress" or "ingress".
func (d Direction) String() string {
	if d == Egress {
		return "egress"
	}
	return "ingress"
}

// RuleRef names a security-group rule for as long as it exists unchanged; it is never
// given to another rule. Zero is none.
type RuleRef uint64

// Permission is what the security groups of one port say about a connection, by the
// tuple of its original direction. The zero value permits.
type Permission struct {
	Reason Reason  // why it may not be offloaded; empty: it is permitted
	Rule   RuleRef // which decided; 0: none did, as where the default applies or all is permitted
}
