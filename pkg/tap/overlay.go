package tap

import (
	"encoding/binary"

	"github.com/flowshunt/flowshunt/flows"
)

// The UDP ports of tunnels that are looked into (RFC 7348, section 8, and RFC 8926,
// section 3.3).
const (
	VXLANPort  = 4789
	GenevePort = 6081
)

const (
	udpLen     = 8
	overlayLen = 8 // of both headers, without Geneve's options

	vxlanFlags     = 0x08 // there is an identifier, and nothing of the extensions
	geneveEthernet = 0x6558
)

// Inside reads the packet in a VXLAN or Geneve tunnel, if that is what a frame has. The
// result is like that of Parse, for the packet inside; its Tunnel says the outer header
// as it arrives, and its port of which kind the tunnel is. It is false for what is no such
// packet, or uses an extension.
func Inside(frame []byte, tag flows.Tag) (Sighting, bool) {
	outer, ok := Parse(frame, tag)
	if !ok || outer.Tuple.Proto != flows.UDP || outer.Tuple.DstPort != VXLANPort && outer.Tuple.DstPort != GenevePort {
		return Sighting{}, false
	}
	b := behindUDP(frame)
	if len(b) < overlayLen {
		return Sighting{}, false
	}
	options := 0
	switch outer.Tuple.DstPort {
	case VXLANPort:
		ok = b[0] == vxlanFlags
	case GenevePort: // version 0, no control packet
		options = int(b[0]&0x3f) * 4
		ok = b[0]>>6 == 0 && b[1]&0x80 == 0 && binary.BigEndian.Uint16(b[2:]) == geneveEthernet && len(b) >= overlayLen+options
	}
	if !ok {
		return Sighting{}, false
	}
	s, ok := Parse(b[overlayLen+options:], flows.Tag{})
	s.Tunnel = flows.RefTo(flows.Tunnel{
		Src: outer.Tuple.Src, Dst: outer.Tuple.Dst, Port: outer.Tuple.DstPort,
		ID: binary.BigEndian.Uint32(b[4:]) >> 8, Options: string(b[overlayLen : overlayLen+options]),
	})
	return s, ok
}

// behindUDP returns what follows UDP's header in a frame that Parse has taken; nothing
// where there are extension headers, which the outer header of a tunnel has not.
func behindUDP(frame []byte) []byte {
	ethertype, b := binary.BigEndian.Uint16(frame[12:]), frame[etherLen:]
	if ethertype == flows.TagCustomer || ethertype == flows.TagProvider {
		ethertype, b = binary.BigEndian.Uint16(b[2:]), b[vlanLen:]
	}
	header := ipv6Len
	if ethertype == etherIPv4 {
		header = int(b[0]&0xf) * 4
	} else if flows.Proto(b[6]) != flows.UDP {
		return nil
	}
	return b[min(header+udpLen, len(b)):]
}
