package openflow

import (
	"encoding/binary"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// Match is what a flow matches, as far as this package writes it. It is comparable:
// two flows of one priority with the same Match are the same flow to a bridge. A zero
// field matches anything, but for what stands in another field's mask.
type Match struct {
	InPort                 uint32 // OpenFlow port
	Metadata, MetadataMask uint64
	SrcMAC, DstMAC         flows.MAC
	SrcMask                flows.MAC // the bits of SrcMAC that matter; zero: all of them
	VLAN, VLANMask         uint16    // of the outermost tag: VLANPresent, and its number; 0 under VLANPresent: there is none
	Priority               uint8     // of the outermost tag
	MatchPriority          bool      // Priority is matched; requires VLANPresent
	EthType                uint16    // required by all below
	IPProto                flows.Proto
	Src, Dst               netip.Addr // of the family that EthType says
	Ports                  bool       // SrcPort and DstPort are matched, for TCP, UDP and SCTP
	SrcPort, DstPort       uint16
	TCPFlags, TCPFlagsMask uint16 // for TCP
	NotFragment            bool   // nw_frag=no
	TTL                    uint8  // or hop limit
	MatchTTL               bool   // TTL is matched
	TunnelID               uint64 // of the tunnel that packets come in
	MatchTunnelID          bool   // TunnelID is matched
	TunnelSrc, TunnelDst   netip.Addr
	// Partial says of a match that was read that it has more than can stand here.
	Partial bool
}

// Ethernet types of Match.
const (
	IPv4 = ethIPv4
	IPv6 = ethIPv6
)

// Of Match.VLAN and its mask.
const (
	VLANPresent = 0x1000
	VLANAll     = VLANPresent | 0xfff
)

const (
	oxmMetadata field = classBasic<<7 | 2
	nxmTTL      field = classNiciraMore<<7 | 29
	nxmTCPFlags field = classNiciraMore<<7 | 34
	nxmIPFrag   field = classNiciraMore<<7 | 26

	onfTCPFlags = 42 // number in the ONF's experimenter class
	anyFragment = 3  // mask of nw_frag: FLOW_NW_FRAG_ANY, FLOW_NW_FRAG_LATER
)

// appendMatch appends an ofp_match, padded.
func appendMatch(b []byte, m *Match) []byte {
	start := len(b)
	b = append(b, 0, matchTypeOXM, 0, 0)
	b = m.appendFields(b)
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	for (len(b)-start)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

// appendFields appends the fields, each behind those that it requires.
func (m *Match) appendFields(b []byte) []byte {
	if m.InPort != 0 {
		b = binary.BigEndian.AppendUint32(appendField(b, oxmInPort, 4), m.InPort)
	}
	if m.MetadataMask != 0 {
		b = binary.BigEndian.AppendUint64(appendMasked(b, oxmMetadata, 8), m.Metadata)
		b = binary.BigEndian.AppendUint64(b, m.MetadataMask)
	}
	b = m.appendTunnel(b)
	if !m.DstMAC.IsZero() {
		b = append(appendField(b, oxmEthDst, 6), m.DstMAC[:]...)
	}
	switch {
	case !m.SrcMask.IsZero():
		b = append(append(appendMasked(b, oxmEthSrc, 6), m.SrcMAC[:]...), m.SrcMask[:]...)
	case !m.SrcMAC.IsZero():
		b = append(appendField(b, oxmEthSrc, 6), m.SrcMAC[:]...)
	}
	b = m.appendTag(b)
	if m.EthType == 0 {
		return b
	}
	b = binary.BigEndian.AppendUint16(appendField(b, oxmEthType, 2), m.EthType)
	b = m.appendAddresses(b)
	if m.NotFragment {
		b = append(appendMasked(b, nxmIPFrag, 1), 0, anyFragment)
	}
	if m.MatchTTL {
		b = append(appendField(b, nxmTTL, 1), m.TTL)
	}
	if m.IPProto == 0 {
		return b
	}
	b = append(appendField(b, oxmIPProto, 1), byte(m.IPProto))
	return m.appendPorts(b)
}

func (m *Match) appendTunnel(b []byte) []byte {
	if m.MatchTunnelID {
		b = binary.BigEndian.AppendUint64(appendField(b, oxmTunnelID, 8), m.TunnelID)
	}
	for _, a := range [...]struct {
		addr   netip.Addr
		v4, v6 field
	}{{m.TunnelSrc, nxmTunnelSrc, nxmTunnel6Src}, {m.TunnelDst, nxmTunnelDst, nxmTunnel6Dst}} {
		if !a.addr.IsValid() {
			continue
		}
		f, raw := a.v4, a.addr.AsSlice()
		if a.addr.Is6() {
			f = a.v6
		}
		b = append(appendField(b, f, len(raw)), raw...)
	}
	return b
}

func (m *Match) appendTag(b []byte) []byte {
	switch m.VLANMask {
	case 0:
	case VLANAll:
		b = binary.BigEndian.AppendUint16(appendField(b, oxmVLANID, 2), m.VLAN)
	default:
		b = binary.BigEndian.AppendUint16(appendMasked(b, oxmVLANID, 2), m.VLAN)
		b = binary.BigEndian.AppendUint16(b, m.VLANMask)
	}
	if m.MatchPriority {
		b = append(appendField(b, oxmVLANPriority, 1), m.Priority)
	}
	return b
}

func (m *Match) appendAddresses(b []byte) []byte {
	src, dst := oxmIPv4Src, oxmIPv4Dst
	if m.EthType == IPv6 {
		src, dst = oxmIPv6Src, oxmIPv6Dst
	}
	for _, a := range [...]struct {
		field field
		addr  netip.Addr
	}{{src, m.Src}, {dst, m.Dst}} {
		if a.addr.IsValid() {
			raw := a.addr.AsSlice()
			b = append(appendField(b, a.field, len(raw)), raw...)
		}
	}
	return b
}

var portFields = map[flows.Proto][2]field{
	flows.TCP:  {oxmTCPSrc, oxmTCPDst},
	flows.UDP:  {oxmUDPSrc, oxmUDPDst},
	flows.SCTP: {oxmSCTPSrc, oxmSCTPDst},
}

func (m *Match) appendPorts(b []byte) []byte {
	if m.Ports {
		fields := portFields[m.IPProto]
		b = binary.BigEndian.AppendUint16(appendField(b, fields[0], 2), m.SrcPort)
		b = binary.BigEndian.AppendUint16(appendField(b, fields[1], 2), m.DstPort)
	}
	if m.TCPFlagsMask != 0 {
		b = binary.BigEndian.AppendUint16(appendMasked(b, nxmTCPFlags, 2), m.TCPFlags)
		b = binary.BigEndian.AppendUint16(b, m.TCPFlagsMask)
	}
	return b
}

func appendField(b []byte, f field, size int) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(f)<<9|uint32(size))
}

func appendMasked(b []byte, f field, size int) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(f)<<9|1<<8|uint32(2*size))
}

// parseMatch reads the ofp_match that b begins with, and returns what is behind it.
func parseMatch(b []byte, m *Match) (rest []byte, err error) {
	*m = Match{}
	if len(b) < 4 || binary.BigEndian.Uint16(b) != matchTypeOXM {
		return nil, malformed("match of a flow")
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	padded := (size + 7) &^ 7
	if size < 4 || padded > len(b) {
		return nil, malformed("length of a match")
	}
	for f := b[4:size]; len(f) > 0; {
		if len(f) < 4 {
			return nil, malformed("match field")
		}
		header := binary.BigEndian.Uint32(f)
		end := 4 + int(header&0xff)
		if end > len(f) {
			return nil, malformed("length of a match field")
		}
		m.set(header, f[4:end])
		f = f[end:]
	}
	return b[padded:], nil
}

// set takes one field as it stands in a match.
func (m *Match) set(header uint32, value []byte) {
	f, masked := field(header>>9), header&0x100 != 0
	if header>>16 == classExperimenter {
		if len(value) < 4 || binary.BigEndian.Uint32(value) != vendorONF || header>>9&0x7f != onfTCPFlags {
			m.Partial = true
			return
		}
		f, value = nxmTCPFlags, value[4:]
	}
	mask := []byte(nil)
	if masked {
		value, mask = value[:len(value)/2], value[len(value)/2:]
	}
	if !m.setField(f, value, mask) {
		m.Partial = true
	}
}

// setField reports whether the field can stand in m.
func (m *Match) setField(f field, value, mask []byte) bool {
	u16 := func() uint16 { return binary.BigEndian.Uint16(value) }
	exact := func(width int) bool { return isExact(value, mask, width) }
	switch f {
	case oxmInPort:
		if ok := exact(4); !ok {
			return false
		}
		m.InPort = binary.BigEndian.Uint32(value)
	case oxmMetadata:
		if !isWide(value, mask, 8) {
			return false
		}
		m.Metadata, m.MetadataMask = binary.BigEndian.Uint64(value), 1<<64-1
		if mask != nil {
			m.MetadataMask = binary.BigEndian.Uint64(mask)
		}
	case oxmEthSrc:
		if !isWide(value, mask, 6) {
			return false
		}
		m.SrcMAC = flows.MAC(value)
		if mask != nil && !exact(6) {
			m.SrcMask = flows.MAC(mask)
		}
	case oxmEthDst:
		if !exact(6) {
			return false
		}
		m.DstMAC = flows.MAC(value)
	case oxmTunnelID:
		if !exact(8) {
			return false
		}
		m.TunnelID, m.MatchTunnelID = binary.BigEndian.Uint64(value), true
	case oxmVLANID:
		if !isWide(value, mask, 2) {
			return false
		}
		m.VLAN, m.VLANMask = u16(), VLANAll
		if mask != nil {
			m.VLANMask = binary.BigEndian.Uint16(mask)
		}
	case oxmVLANPriority:
		if !exact(1) {
			return false
		}
		m.Priority, m.MatchPriority = value[0], true
	case nxmTTL:
		if !exact(1) {
			return false
		}
		m.TTL, m.MatchTTL = value[0], true
	case oxmEthType:
		if !exact(2) {
			return false
		}
		m.EthType = u16()
	case oxmIPProto:
		if !exact(1) {
			return false
		}
		m.IPProto = flows.Proto(value[0])
	case nxmTCPFlags:
		if !isWide(value, mask, 2) || mask == nil {
			return false
		}
		m.TCPFlags, m.TCPFlagsMask = u16(), binary.BigEndian.Uint16(mask)
	case nxmIPFrag:
		if len(value) != 1 || value[0] != 0 || mask != nil && mask[0]&anyFragment != anyFragment {
			return false
		}
		m.NotFragment = true
	default:
		return m.setAddress(f, value, mask)
	}
	return true
}

func (m *Match) setAddress(f field, value, mask []byte) bool {
	switch f {
	case oxmIPv4Src, oxmIPv4Dst, oxmIPv6Src, oxmIPv6Dst, nxmTunnelSrc, nxmTunnelDst, nxmTunnel6Src, nxmTunnel6Dst:
		addr, ok := netip.AddrFromSlice(value)
		if !ok || !isExact(value, mask, len(value)) {
			return false
		}
		switch f {
		case oxmIPv4Src, oxmIPv6Src:
			m.Src = addr
		case oxmIPv4Dst, oxmIPv6Dst:
			m.Dst = addr
		case nxmTunnelSrc, nxmTunnel6Src:
			m.TunnelSrc = addr
		default:
			m.TunnelDst = addr
		}
	case oxmTCPSrc, oxmUDPSrc, oxmSCTPSrc, oxmTCPDst, oxmUDPDst, oxmSCTPDst:
		if !isExact(value, mask, 2) {
			return false
		}
		m.Ports = true
		if f == oxmTCPSrc || f == oxmUDPSrc || f == oxmSCTPSrc {
			m.SrcPort = binary.BigEndian.Uint16(value)
		} else {
			m.DstPort = binary.BigEndian.Uint16(value)
		}
	default:
		return false
	}
	return true
}
