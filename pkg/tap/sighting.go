package tap

import "github.com/flowshunt/flowshunt/flows"

// Sighting is one packet that a port received.
type Sighting struct {
	Port        flows.PortID
	Seen        flows.PortID // whose tap saw it, where that is not Port's: of a packet that came in by a tunnel; 0: Port
	Ifindex     int32
	flows.Frame               // with a tunnel only where Port.Inside was asked for
	Tuple       flows.Tuple   // ports are 0 for protocols without them, ICMP among these
	DSCP        flows.DSCP    // of the innermost IP header; known, unless by other means than Parse
	Length      uint16        // of the IP packet, with its header; of segments that were joined, of all together
	TCPFlags    uint8         // byte 13 of the TCP header; 0 for other protocols
	Seq         uint32        // the first sequence number, of a TCP packet with SYN; else 0
	At          flows.Instant // when it was read, not when it arrived
}

// The TCP flags that a tap always reports (RFC 9293, section 3.1).
const (
	FIN = 1 << 0
	SYN = 1 << 1
	RST = 1 << 2
)

// tagOf returns the tag with a type and tag control information.
func tagOf(typ, tci uint16) flows.Tag {
	return flows.Tag{Type: typ, ID: tci & 0xfff, Priority: uint8(tci >> 13)}
}
