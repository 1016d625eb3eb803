package tap

import "github.com/flowshunt/flowshunt/flows"

// Sighting is one packet that a port received.
type Sighting struct {
	Port           flows.PortID
	Ifindex        int32
	SrcMAC, DstMAC flows.MAC
	VLAN           VLAN
	Tuple          flows.Tuple   // ports are 0 for protocols without them, ICMP among these
	TCPFlags       uint8         // byte 13 of the TCP header; 0 for other protocols
	At             flows.Instant // when it was read, not when it arrived
}

// The TCP flags that a tap always reports (RFC 9293, section 3.1).
const (
	FIN = 1 << 0
	SYN = 1 << 1
	RST = 1 << 2
)

// VLAN is the outer VLAN tag of a packet. The zero value means "no tag"; a
// priority tag (VLAN id 0) is a tag.
type VLAN uint16

const (
	vlanPresent VLAN = 1 << 12 // the bit that 802.1Q uses for CFI/DEI, free here
	vlanIDMask  VLAN = 1<<12 - 1
)

// TagOf returns the VLAN of a packet whose tag control information is tci.
func TagOf(tci uint16) VLAN { return VLAN(tci)&vlanIDMask | vlanPresent }

// Tagged reports whether there is a tag.
func (v VLAN) Tagged() bool { return v != 0 }

// ID returns the VLAN id, 0 without a tag.
func (v VLAN) ID() uint16 { return uint16(v & vlanIDMask) }
