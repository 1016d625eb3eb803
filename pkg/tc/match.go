package tc

import (
	"fmt"
	"net/netip"
)

// Kinds of filters, actions and qdiscs that this package encodes.
const (
	KindFlower = "flower"
	KindMirred = "mirred"
	KindGact   = "gact"
	KindClsact = "clsact"
)

// IP protocols whose ports flower can match.
const (
	protoTCP  = 6
	protoUDP  = 17
	protoSCTP = 132
)

// MACMatch compares an Ethernet address under a mask. A zero mask matches any.
type MACMatch struct{ Value, Mask [6]byte }

// ExactMAC matches one address.
func ExactMAC(mac [6]byte) MACMatch {
	return MACMatch{mac, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
}

// AddrMatch compares an IP address under a mask of the same family. The zero
// value matches any.
type AddrMatch struct{ Value, Mask netip.Addr }

// PrefixMatch matches the addresses of one prefix; the zero prefix, any.
func PrefixMatch(p netip.Prefix) AddrMatch {
	if !p.IsValid() {
		return AddrMatch{}
	}
	var mask [16]byte
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	if p.Addr().Is4() {
		return AddrMatch{p.Addr(), netip.AddrFrom4([4]byte(mask[:4]))}
	}
	return AddrMatch{p.Addr(), netip.AddrFrom16(mask)}
}

var (
	hostMask4 = netip.AddrFrom4([4]byte{0xff, 0xff, 0xff, 0xff})
	hostMask6 = PrefixMatch(netip.PrefixFrom(netip.IPv6Unspecified(), 128)).Mask
)

// ExactAddr matches one address.
func ExactAddr(a netip.Addr) AddrMatch {
	if a.Is4() {
		return AddrMatch{a, hostMask4}
	}
	return AddrMatch{a, hostMask6}
}

// Match16 compares a 16-bit field under a mask. A zero mask matches any.
type Match16 struct{ Value, Mask uint16 }

// ExactPort matches one port.
func ExactPort(p uint16) Match16 { return Match16{p, 0xffff} }

// FragMatch compares the fragment bits that the flow dissector sets
// (TCA_FLOWER_KEY_FLAGS_*). A zero mask matches any.
type FragMatch struct{ Value, Mask uint32 }

// NoFragments matches packets that are no fragments.
var NoFragments = FragMatch{0, 1}

// Match is what a packet must look like: all fields that are set must agree. It
// is comparable. The ethertype is the filter's Protocol.
type Match struct {
	SrcMAC, DstMAC   MACMatch
	IPProto          uint8 // 0 matches any
	Src, Dst         AddrMatch
	SrcPort, DstPort Match16 // IPProto must be TCP, UDP or SCTP
	TCPFlags         Match16 // IPProto must be TCP; 12 bits
	Frag             FragMatch
}

// portAttrs are flower's attributes for the ports of one protocol, in the order
// source, mask, destination, mask.
func portAttrs(proto uint8) (attrs [4]uint16, ok bool) {
	switch proto {
	case protoTCP:
		return [4]uint16{flowerTCPSrc, flowerTCPSrcMask, flowerTCPDst, flowerTCPDstMask}, true
	case protoUDP:
		return [4]uint16{flowerUDPSrc, flowerUDPSrcMask, flowerUDPDst, flowerUDPDstMask}, true
	case protoSCTP:
		return [4]uint16{flowerSCTPSrc, flowerSCTPSrcMsk, flowerSCTPDst, flowerSCTPDstMsk}, true
	}
	return attrs, false
}

func (m *Match) validate(protocol uint16) error {
	if _, ok := portAttrs(m.IPProto); !ok && (m.SrcPort.Mask != 0 || m.DstPort.Mask != 0) {
		return fmt.Errorf("%w: ports of IP protocol %d cannot be matched", ErrInvalid, m.IPProto)
	}
	if m.IPProto != protoTCP && m.TCPFlags.Mask != 0 {
		return fmt.Errorf("%w: TCP flags of IP protocol %d", ErrInvalid, m.IPProto)
	}
	for _, a := range [...]AddrMatch{m.Src, m.Dst} {
		if a == (AddrMatch{}) {
			continue
		}
		if a.Value.BitLen() != a.Mask.BitLen() || a.Value.Is4In6() || a.Value.Is4() != (protocol == ProtocolIPv4) {
			return fmt.Errorf("%w: address %s/%s in protocol %#04x", ErrInvalid, a.Value, a.Mask, protocol)
		}
	}
	return nil
}

// appendKeys appends the keys that tc puts before the actions.
func (m *Match) appendKeys(b []byte) []byte {
	b = m.SrcMAC.append(b, flowerSrcMAC)
	b = m.DstMAC.append(b, flowerDstMAC)
	if m.IPProto != 0 {
		b = appendU8(b, flowerIPProto, m.IPProto)
	}
	b = m.Src.append(b, flowerSrc4, flowerSrc6)
	b = m.Dst.append(b, flowerDst4, flowerDst6)
	if port, ok := portAttrs(m.IPProto); ok {
		b = m.SrcPort.appendPort(b, port[0], port[1])
		b = m.DstPort.appendPort(b, port[2], port[3])
	}
	if m.TCPFlags.Mask != 0 {
		b = appendBE16(b, flowerTCPFlags, m.TCPFlags.Value)
		b = appendBE16(b, flowerTCPFlagsMk, m.TCPFlags.Mask)
	}
	return b
}

func (m FragMatch) append(b []byte) []byte {
	if m.Mask == 0 {
		return b
	}
	b = appendBE32(b, flowerKeyFlags, m.Value)
	return appendBE32(b, flowerKeyFlagsMk, m.Mask)
}

func (m MACMatch) append(b []byte, key uint16) []byte {
	if m.Mask == [6]byte{} {
		return b
	}
	b = appendBytes(b, key, m.Value[:])
	return appendBytes(b, key+1, m.Mask[:])
}

func (m AddrMatch) append(b []byte, key4, key6 uint16) []byte {
	switch {
	case m.Value.Is4():
		value, mask := m.Value.As4(), m.Mask.As4()
		return appendBytes(appendBytes(b, key4, value[:]), key4+1, mask[:])
	case m.Value.Is6():
		value, mask := m.Value.As16(), m.Mask.As16()
		return appendBytes(appendBytes(b, key6, value[:]), key6+1, mask[:])
	}
	return b
}

// appendPort leaves out a full mask, as tc does; the kernel assumes it.
func (m Match16) appendPort(b []byte, key, mask uint16) []byte {
	if m.Mask == 0 {
		return b
	}
	b = appendBE16(b, key, m.Value)
	if m.Mask != 0xffff {
		b = appendBE16(b, mask, m.Mask)
	}
	return b
}

// decode takes one key. It reports whether it knows the attribute.
func (m *Match) decode(a *attrs) bool {
	switch a.typ {
	case flowerSrcMAC:
		m.SrcMAC.Value = [6]byte(a.bytes(6))
	case flowerSrcMACMask:
		m.SrcMAC.Mask = [6]byte(a.bytes(6))
	case flowerDstMAC:
		m.DstMAC.Value = [6]byte(a.bytes(6))
	case flowerDstMACMask:
		m.DstMAC.Mask = [6]byte(a.bytes(6))
	case flowerIPProto:
		m.IPProto = a.u8()
	case flowerSrc4:
		m.Src.Value = netip.AddrFrom4([4]byte(a.bytes(4)))
	case flowerSrc4Mask:
		m.Src.Mask = netip.AddrFrom4([4]byte(a.bytes(4)))
	case flowerDst4:
		m.Dst.Value = netip.AddrFrom4([4]byte(a.bytes(4)))
	case flowerDst4Mask:
		m.Dst.Mask = netip.AddrFrom4([4]byte(a.bytes(4)))
	case flowerSrc6:
		m.Src.Value = netip.AddrFrom16([16]byte(a.bytes(16)))
	case flowerSrc6Mask:
		m.Src.Mask = netip.AddrFrom16([16]byte(a.bytes(16)))
	case flowerDst6:
		m.Dst.Value = netip.AddrFrom16([16]byte(a.bytes(16)))
	case flowerDst6Mask:
		m.Dst.Mask = netip.AddrFrom16([16]byte(a.bytes(16)))
	case flowerTCPFlags:
		m.TCPFlags.Value = a.be16()
	case flowerTCPFlagsMk:
		m.TCPFlags.Mask = a.be16()
	case flowerKeyFlags:
		m.Frag.Value = a.be32()
	case flowerKeyFlagsMk:
		m.Frag.Mask = a.be32()
	default:
		return m.decodePort(a)
	}
	return true
}

func (m *Match) decodePort(a *attrs) bool {
	switch a.typ {
	case flowerTCPSrc, flowerUDPSrc, flowerSCTPSrc:
		m.SrcPort.decode(a)
	case flowerTCPDst, flowerUDPDst, flowerSCTPDst:
		m.DstPort.decode(a)
	case flowerTCPSrcMask, flowerUDPSrcMask, flowerSCTPSrcMsk:
		m.SrcPort.Mask = a.be16()
	case flowerTCPDstMask, flowerUDPDstMask, flowerSCTPDstMsk:
		m.DstPort.Mask = a.be16()
	default:
		return false
	}
	return true
}

// decode takes the value; the mask is full unless it follows.
func (m *Match16) decode(a *attrs) { *m = Match16{a.be16(), 0xffff} }
