package openflow

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// narrow narrows the change by the fields of a match. A field that it does not
// know, or that is not of the form that OVS gives it, does not narrow. An error
// means that the fields do not even follow each other.
func (c *Change) narrow(b []byte) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return malformed("match field")
		}
		header := binary.BigEndian.Uint32(b)
		size := 4 + int(header&0xff)
		if size > len(b) {
			return malformed("length of a match field")
		}
		value, masked := b[4:size], header&0x100 != 0
		b = b[size:]
		if header>>16 == classExperimenter {
			continue
		}
		mask := []byte(nil)
		if masked {
			value, mask = value[:len(value)/2], value[len(value)/2:]
		}
		c.narrowField(field(header>>9), value, mask)
	}
	return nil
}

// narrowField narrows by one field. No mask means an exact value.
func (c *Change) narrowField(f field, value, mask []byte) {
	m := &c.Match
	switch f {
	case nxmInPort:
		if isExact(value, mask, 2) {
			c.InPort = widePort(binary.BigEndian.Uint16(value))
		}
	case oxmInPort:
		if isExact(value, mask, 4) {
			c.InPort = binary.BigEndian.Uint32(value)
		}
	case nxmEthSrc, oxmEthSrc:
		narrowMAC(&m.SrcMAC, &m.SrcMask, value, mask)
	case nxmEthDst, oxmEthDst:
		narrowMAC(&m.DstMAC, &m.DstMask, value, mask)
	case nxmEthType, oxmEthType:
		if isExact(value, mask, 2) {
			c.narrowEthType(binary.BigEndian.Uint16(value))
		}
	case nxmIPProto, oxmIPProto:
		if isExact(value, mask, 1) {
			m.Proto = flows.Proto(value[0])
		}
	case nxmIPSrc, oxmIPv4Src:
		narrowPrefix(&m.Src, value, mask, 4)
	case nxmIPDst, oxmIPv4Dst:
		narrowPrefix(&m.Dst, value, mask, 4)
	case nxmIPv6Src, oxmIPv6Src:
		narrowPrefix(&m.Src, value, mask, 16)
	case nxmIPv6Dst, oxmIPv6Dst:
		narrowPrefix(&m.Dst, value, mask, 16)
	case nxmTCPSrc, nxmUDPSrc, oxmTCPSrc, oxmUDPSrc, oxmSCTPSrc:
		narrowPort(&m.SrcPort, &m.SrcPortMask, value, mask)
	case nxmTCPDst, nxmUDPDst, oxmTCPDst, oxmUDPDst, oxmSCTPDst:
		narrowPort(&m.DstPort, &m.DstPortMask, value, mask)
	}
}

func (c *Change) narrowEthType(ethType uint16) {
	switch ethType {
	case ethIPv4:
		c.Match.IPv4 = true
	case ethIPv6:
		c.Match.IPv6 = true
	case ethARP, ethRARP, ethLLDP:
		c.NonIP = true
	}
}

func narrowMAC(to, toMask *flows.MAC, value, mask []byte) {
	if !isWide(value, mask, len(to)) {
		return
	}
	*to = flows.MAC(value)
	*toMask = flows.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if mask != nil {
		*toMask = flows.MAC(mask)
	}
}

// narrowPrefix takes the leading ones of a mask: of one with holes they are all
// that a prefix can say.
func narrowPrefix(to *netip.Prefix, value, mask []byte, width int) {
	if !isWide(value, mask, width) {
		return
	}
	ones := 8 * width
	if mask != nil {
		ones = leadingOnes(mask)
	}
	if ones == 0 {
		return
	}
	addr, _ := netip.AddrFromSlice(value)
	*to = netip.PrefixFrom(addr, ones).Masked()
}

func narrowPort(to, toMask *uint16, value, mask []byte) {
	if !isWide(value, mask, 2) {
		return
	}
	*to, *toMask = binary.BigEndian.Uint16(value), 0xffff
	if mask != nil {
		*toMask = binary.BigEndian.Uint16(mask)
	}
}

// widePort returns the 32-bit form of a 16-bit port number: the reserved ones
// are at the end of either range.
func widePort(port uint16) uint32 {
	if port >= 0xff00 {
		return 0xffff0000 | uint32(port)
	}
	return uint32(port)
}

func isWide(value, mask []byte, width int) bool {
	return len(value) == width && (mask == nil || len(mask) == width)
}

func isExact(value, mask []byte, width int) bool {
	return isWide(value, mask, width) && (mask == nil || leadingOnes(mask) == 8*width)
}

func leadingOnes(mask []byte) int {
	n := 0
	for _, b := range mask {
		ones := bits.LeadingZeros8(^b)
		n += ones
		if ones < 8 {
			break
		}
	}
	return n
}
