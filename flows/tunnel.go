package flows

import (
	"fmt"
	"net/netip"
)

// Tunnel is the outer header of packets in a VXLAN or Geneve tunnel; which of them, the
// port tells. Of what a device fills in by itself (checksum of the outer header, source
// port, ECN) nothing is told. The zero value is no tunnel.
type Tunnel struct {
	Src, Dst netip.Addr // of the underlay; Src may be invalid where packets leave: routing chooses it
	ID       uint32     // virtual network identifier, 24 bits
	Port     uint16     // UDP destination port; 0 where packets leave: that of the port
	Options  string     // Geneve's options (RFC 8926, section 3.5) as they are on the wire, at most 252 bytes
	TOS      uint8      // where packets leave, without the two bits of ECN
	TTL      uint8      // where packets leave; 0: that of the port
	Checksum bool       // where packets leave: the outer UDP checksum is computed
	MayBreak bool       // where packets leave: the underlay may fragment them (no DF)
}

// String returns "10.0.0.1->10.0.0.2 vni 7".
func (t Tunnel) String() string {
	src := "any"
	if t.Src.IsValid() {
		src = t.Src.String()
	}
	s := fmt.Sprintf("%s->%s vni %d", src, t.Dst, t.ID)
	if t.Options != "" {
		s += fmt.Sprintf(" options %x", t.Options)
	}
	return s
}
