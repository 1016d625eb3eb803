package tap

import (
	"encoding/binary"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

const (
	etherLen = 14
	vlanLen  = 4

	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd

	ipv4MinLen   = 20
	ipv4Fragment = 0x3fff // more-fragments flag and offset
	ipv6Len      = 40

	tcpSeqAt   = 4
	tcpFlagsAt = 13
)

// IPv6 extension headers (RFC 8200, section 4). Those that conntrack skips and
// that need no reassembly are skipped here too, at most maxExtensions of them.
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60
	extNone        = 59
	maxExtensions  = 4
)

// Parse reads an Ethernet frame, or as much of its beginning as was captured.
// tag is the outer VLAN tag, which the kernel took out of the frame, if there was one; one
// more tag in the frame itself is understood. The
// second result is false for everything that is not a whole IPv4 or IPv6 packet
// whose addresses, ports and TCP flags are within the frame: other protocols,
// fragments, more tags, more extension headers. Port, Ifindex and At are left
// for the caller. Parse keeps no reference to frame and allocates nothing.
func Parse(frame []byte, tag flows.Tag) (Sighting, bool) {
	if len(frame) < etherLen {
		return Sighting{}, false
	}
	s := Sighting{Frame: flows.Frame{DstMAC: flows.MAC(frame[0:6]), SrcMAC: flows.MAC(frame[6:12]), Tags: flows.Tags{tag}}}
	ethertype, packet := binary.BigEndian.Uint16(frame[12:]), frame[etherLen:]
	if ethertype == flows.TagCustomer || ethertype == flows.TagProvider {
		if len(packet) < vlanLen {
			return Sighting{}, false
		}
		s.Tags[s.Tags.Len()] = tagOf(ethertype, binary.BigEndian.Uint16(packet))
		ethertype, packet = binary.BigEndian.Uint16(packet[2:]), packet[vlanLen:]
	}
	ok := false
	switch ethertype {
	case etherIPv4:
		ok = s.parseIPv4(packet)
	case etherIPv6:
		ok = s.parseIPv6(packet)
	}
	if !ok {
		return Sighting{}, false
	}
	return s, true
}

func (s *Sighting) parseIPv4(b []byte) bool {
	if len(b) < ipv4MinLen || b[0]>>4 != 4 {
		return false
	}
	header := int(b[0]&0xf) * 4
	if header < ipv4MinLen || len(b) < header || int(binary.BigEndian.Uint16(b[2:])) < header {
		return false
	}
	if binary.BigEndian.Uint16(b[6:])&ipv4Fragment != 0 {
		return false
	}
	s.Length = binary.BigEndian.Uint16(b[2:])
	s.DSCP = dscpOf(b[1])
	s.Tuple.Src = netip.AddrFrom4([4]byte(b[12:16]))
	s.Tuple.Dst = netip.AddrFrom4([4]byte(b[16:20]))
	return s.parseTransport(flows.Proto(b[9]), b[header:])
}

// dscpOf returns the code point of a TOS octet, or of a traffic class (RFC 2474, section 3).
func dscpOf(octet byte) flows.DSCP { return flows.DSCP(octet>>2) + 1 }

func (s *Sighting) parseIPv6(b []byte) bool {
	if len(b) < ipv6Len || b[0]>>4 != 6 {
		return false
	}
	s.Length = uint16(min(uint32(binary.BigEndian.Uint16(b[4:]))+ipv6Len, 1<<16-1))
	s.DSCP = dscpOf(b[0]<<4 | b[1]>>4)
	s.Tuple.Src = netip.AddrFrom16([16]byte(b[8:24]))
	s.Tuple.Dst = netip.AddrFrom16([16]byte(b[24:40]))
	if s.Tuple.Src.Is4In6() || s.Tuple.Dst.Is4In6() {
		return false // must not be taken for the IPv4 tuple that it spells
	}
	next, rest, ok := skipExtensions(b[6], b[ipv6Len:])
	return ok && s.parseTransport(flows.Proto(next), rest)
}

func skipExtensions(next byte, b []byte) (byte, []byte, bool) {
	for range maxExtensions + 1 {
		switch next {
		case extHopByHop, extRouting, extDestination:
		case extFragment, extNone, byte(flows.AH):
			// Conntrack looks behind an authentication header, a rule cannot.
			return 0, nil, false
		default:
			return next, b, true
		}
		if len(b) < 8 {
			return 0, nil, false
		}
		length := (int(b[1]) + 1) * 8
		if len(b) < length {
			return 0, nil, false
		}
		next, b = b[0], b[length:]
	}
	return 0, nil, false
}

func (s *Sighting) parseTransport(proto flows.Proto, b []byte) bool {
	s.Tuple.Proto = proto
	if !proto.HasPorts() {
		return true
	}
	if len(b) < 4 {
		return false
	}
	s.Tuple.SrcPort = binary.BigEndian.Uint16(b)
	s.Tuple.DstPort = binary.BigEndian.Uint16(b[2:])
	if proto != flows.TCP {
		return true
	}
	if len(b) <= tcpFlagsAt {
		return false
	}
	s.TCPFlags = b[tcpFlagsAt]
	if s.TCPFlags&SYN != 0 {
		s.Seq = binary.BigEndian.Uint32(b[tcpSeqAt:])
	}
	return true
}
