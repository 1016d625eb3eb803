package tc

import "fmt"

// Rewrite is what the pedit action writes into a packet: of each field those bits
// that the mask names. The zero value of a field leaves it as it is. Pedit makes no
// checksums right: that is for a csum behind it.
type Rewrite struct {
	SrcMAC, DstMAC MACMatch

	// Protocol is ProtocolIPv4 or ProtocolIPv6, the header of the following; 0 without them.
	Protocol uint16
	Src, Dst AddrMatch
	TOS      Match8 // or the traffic class
	TTL      Match8 // or the hop limit
	TTLAdd   uint8  // instead of TTL: added modulo 256, so 255 decrements

	// IPProto is 6 for TCP or 17 for UDP, the header of the following; 0 without them.
	IPProto          uint8
	SrcPort, DstPort Match16
}

// validate wants each header named if and only if it is rewritten.
func (r *Rewrite) validate() error {
	transport, port := r.IPProto != 0, r.SrcPort.Mask != 0 || r.DstPort.Mask != 0
	ok := transport == port && (!port || r.IPProto == protoTCP || r.IPProto == protoUDP)
	switch r.Protocol {
	case 0:
		ok = ok && !r.network() && (port || r.SrcMAC.Mask != [6]byte{} || r.DstMAC.Mask != [6]byte{})
	case ProtocolIPv4, ProtocolIPv6:
		ok = ok && r.network() && r.fits(&r.Src) && r.fits(&r.Dst) && (r.TTL.Mask == 0 || r.TTLAdd == 0)
	default:
		ok = false
	}
	if !ok {
		return fmt.Errorf("%w: rewrite %+v", ErrInvalid, *r)
	}
	return nil
}

// network reports whether a field of the network header is rewritten.
func (r *Rewrite) network() bool {
	return r.Src.isSet() || r.Dst.isSet() || r.TOS.Mask != 0 || r.TTL.Mask != 0 || r.TTLAdd != 0
}

func (r *Rewrite) fits(a *AddrMatch) bool {
	return !a.isSet() || a.valid() && a.Value.Is4() == (r.Protocol == ProtocolIPv4)
}
