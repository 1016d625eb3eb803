package tc

import (
	"fmt"
	"net/netip"
)

// Kinds of filters, actions and qdiscs that this package encodes.
const (
	KindFlower    = "flower"
	KindClsact    = "clsact"
	KindMirred    = "mirred"
	KindGact      = "gact"
	KindVLAN      = "vlan"
	KindPedit     = "pedit"
	KindCsum      = "csum"
	KindTunnelKey = "tunnel_key"
	KindPolice    = "police"
	KindNAT       = "nat"
)

var kinds = [...]string{KindFlower, KindMirred, KindPedit, KindCsum, KindVLAN, KindTunnelKey, KindGact, KindPolice, KindNAT, KindClsact}

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

// Match8 compares an 8-bit field under a mask. A zero mask matches any.
type Match8 struct{ Value, Mask uint8 }

// Exact8 matches one value.
func Exact8(v uint8) Match8 { return Match8{v, 0xff} }

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
// is comparable. The ethertype is the filter's Protocol; that of a tagged packet is
// the type of its outer tag, and each tag tells what follows it.
type Match struct {
	SrcMAC, DstMAC   MACMatch
	VLAN             VLANMatch // the outer tag, or the only one; needs ProtocolVLAN or ProtocolQinQ
	CVLAN            VLANMatch // the inner tag; needs VLAN.EthType to be a tag's
	IPProto          uint8     // 0 matches any
	TOS              Match8    // or the traffic class
	TTL              Match8    // or the hop limit
	Src, Dst         AddrMatch
	SrcPort, DstPort Match16 // IPProto must be TCP, UDP or SCTP
	TCPFlags         Match16 // IPProto must be TCP; 12 bits
	Frag             FragMatch
	Tunnel           TunnelMatch // what the packet came in
}

// network returns the ethertype of what stands behind the tags, 0 for any.
func (m *Match) network(protocol uint16) uint16 {
	for _, tag := range [...]*VLANMatch{&m.VLAN, &m.CVLAN} {
		if !isTag(protocol) {
			break
		}
		protocol = tag.EthType
	}
	return protocol
}

func isTag(protocol uint16) bool { return protocol == ProtocolVLAN || protocol == ProtocolQinQ }

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

// validate refuses above all what the kernel would ignore in silence: such a filter
// would match more than was meant.
func (m *Match) validate(protocol uint16) error {
	if err := m.validateTags(protocol); err != nil {
		return err
	}
	network := m.network(protocol)
	ip := network == ProtocolIPv4 || network == ProtocolIPv6
	if !ip && (m.IPProto != 0 || m.TOS.Mask != 0 || m.TTL.Mask != 0) {
		return fmt.Errorf("%w: fields of IP in protocol %#04x", ErrInvalid, network)
	}
	if _, ok := portAttrs(m.IPProto); !ok && (m.SrcPort.Mask != 0 || m.DstPort.Mask != 0) {
		return fmt.Errorf("%w: ports of IP protocol %d cannot be matched", ErrInvalid, m.IPProto)
	}
	if m.IPProto != protoTCP && m.TCPFlags.Mask != 0 {
		return fmt.Errorf("%w: TCP flags of IP protocol %d", ErrInvalid, m.IPProto)
	}
	for _, a := range [...]*AddrMatch{&m.Src, &m.Dst} {
		if a.isSet() && (!a.valid() || !ip || a.Value.Is4() != (network == ProtocolIPv4)) {
			return fmt.Errorf("%w: address %s/%s in protocol %#04x", ErrInvalid, a.Value, a.Mask, network)
		}
	}
	return m.Tunnel.validate()
}

func (m *AddrMatch) isSet() bool { return *m != AddrMatch{} }

func (m *AddrMatch) valid() bool {
	return m.Value.IsValid() && m.Value.BitLen() == m.Mask.BitLen() && !m.Value.Is4In6()
}

// appendKeys appends the keys that tc puts before the actions.
func (m *Match) appendKeys(b []byte) []byte {
	b = m.SrcMAC.append(b, flowerSrcMAC)
	b = m.DstMAC.append(b, flowerDstMAC)
	b = m.VLAN.append(b, flowerVLANID, flowerVLANPrio, flowerVLANType)
	b = m.CVLAN.append(b, flowerCVLANID, flowerCVLANPrio, flowerCVLANType)
	if m.IPProto != 0 {
		b = appendU8(b, flowerIPProto, m.IPProto)
	}
	b = m.TOS.append(b, flowerTOS)
	b = m.TTL.append(b, flowerTTL)
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
	return m.Tunnel.append(b)
}

func (m Match8) append(b []byte, key uint16) []byte {
	if m.Mask == 0 {
		return b
	}
	return appendU8(appendU8(b, key, m.Value), key+1, m.Mask)
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
	b = appendAddr(b, key4, key6, m.Value)
	return appendAddr(b, key4+1, key6+1, m.Mask)
}

// appendAddr appends an address in the attribute of its family, or nothing.
func appendAddr(b []byte, key4, key6 uint16, addr netip.Addr) []byte {
	switch {
	case addr.Is4():
		v := addr.As4()
		return appendBytes(b, key4, v[:])
	case addr.Is6():
		v := addr.As16()
		return appendBytes(b, key6, v[:])
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
		m.Src.Value = a.addr4()
	case flowerSrc4Mask:
		m.Src.Mask = a.addr4()
	case flowerDst4:
		m.Dst.Value = a.addr4()
	case flowerDst4Mask:
		m.Dst.Mask = a.addr4()
	case flowerSrc6:
		m.Src.Value = a.addr6()
	case flowerSrc6Mask:
		m.Src.Mask = a.addr6()
	case flowerDst6:
		m.Dst.Value = a.addr6()
	case flowerDst6Mask:
		m.Dst.Mask = a.addr6()
	case flowerTCPFlags:
		m.TCPFlags.Value = a.be16()
	case flowerTCPFlagsMk:
		m.TCPFlags.Mask = a.be16()
	case flowerKeyFlags:
		m.Frag.Value = a.be32()
	case flowerKeyFlagsMk:
		m.Frag.Mask = a.be32()
	case flowerTOS:
		m.TOS.decode(a)
	case flowerTOSMask:
		m.TOS.Mask = a.u8()
	case flowerTTL:
		m.TTL.decode(a)
	case flowerTTLMask:
		m.TTL.Mask = a.u8()
	default:
		return m.decodePort(a) || m.decodeTag(a) || m.Tunnel.decode(a)
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
func (m *Match8) decode(a *attrs) { *m = Match8{a.u8(), 0xff} }

// decode takes the value; the mask is full unless it follows.
func (m *Match16) decode(a *attrs) { *m = Match16{a.be16(), 0xffff} }
