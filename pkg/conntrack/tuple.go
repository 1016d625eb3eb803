package conntrack

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// Attributes of a tuple (enum ctattr_tuple, ctattr_ip, ctattr_l4proto).
const (
	ctaTupleIP    = 1
	ctaTupleProto = 2
	ctaTupleZone  = 3

	ctaIPv4Src = 1
	ctaIPv4Dst = 2
	ctaIPv6Src = 3
	ctaIPv6Dst = 4

	ctaProtoNum        = 1
	ctaProtoSrcPort    = 2
	ctaProtoDstPort    = 3
	ctaProtoICMPID     = 4
	ctaProtoICMPType   = 5
	ctaProtoICMPCode   = 6
	ctaProtoICMPv6ID   = 7
	ctaProtoICMPv6Type = 8
	ctaProtoICMPv6Code = 9
)

// Family selects IPv4, IPv6 or both.
type Family uint8

// The families; the zero value is both.
const (
	AnyFamily Family = unix.AF_UNSPEC
	IPv4      Family = unix.AF_INET
	IPv6      Family = unix.AF_INET6
)

func familyOf(t flows.Tuple) Family {
	if t.IsIPv6() {
		return IPv6
	}
	return IPv4
}

// tuple writes t. Every tracker takes what it needs and ignores the rest, so
// ports are always sent; ICMP has its own attributes.
//
// What conntrack keeps in place of ports is part of the identity and therefore
// kept in the ports of flows.Tuple: for GRE the call ids of PPTP (0 for plain
// GRE), for ICMP and ICMPv6 the identifier in SrcPort and type<<8|code in
// DstPort, in both directions. Protocols that conntrack tracks by address alone
// (ESP, AH, ...) have 0.
func (r *request) tuple(typ uint16, t flows.Tuple) {
	outer := r.nest(typ)
	r.addresses(t)
	proto := r.nest(ctaTupleProto)
	r.uint8(ctaProtoNum, uint8(t.Proto))
	switch t.Proto {
	case flows.ICMP:
		r.uint16(ctaProtoICMPID, t.SrcPort)
		r.uint8(ctaProtoICMPType, uint8(t.DstPort>>8))
		r.uint8(ctaProtoICMPCode, uint8(t.DstPort))
	case flows.ICMPv6:
		r.uint16(ctaProtoICMPv6ID, t.SrcPort)
		r.uint8(ctaProtoICMPv6Type, uint8(t.DstPort>>8))
		r.uint8(ctaProtoICMPv6Code, uint8(t.DstPort))
	default:
		r.uint16(ctaProtoSrcPort, t.SrcPort)
		r.uint16(ctaProtoDstPort, t.DstPort)
	}
	r.unnest(proto)
	r.unnest(outer)
}

func (r *request) addresses(t flows.Tuple) {
	ip := r.nest(ctaTupleIP)
	if t.IsIPv6() {
		src, dst := t.Src.As16(), t.Dst.As16()
		r.bytes(ctaIPv6Src, src[:])
		r.bytes(ctaIPv6Dst, dst[:])
	} else {
		src, dst := t.Src.As4(), t.Dst.As4()
		r.bytes(ctaIPv4Src, src[:])
		r.bytes(ctaIPv4Dst, dst[:])
	}
	r.unnest(ip)
}

// decodeTuple reads the current attribute of a. The zone is that of a
// CTA_TUPLE_ZONE, which is there only if the zone counts in one direction.
func decodeTuple(a *attrs, t *flows.Tuple) (zone flows.Zone) {
	in := a.nested()
	for in.next() {
		switch in.typ {
		case ctaTupleIP:
			decodeAddresses(&in, t)
		case ctaTupleProto:
			decodeProto(&in, t)
		case ctaTupleZone:
			zone = flows.Zone(in.uint16())
		}
	}
	if !t.IsValid() {
		in.fail("tuple without two addresses of one family")
	}
	a.adopt(&in)
	return zone
}

// decodeAddresses keeps an IPv4-mapped IPv6 address as it is: it stood in an
// IPv6 packet, and unmapping it would give its connection the identity of an
// IPv4 one.
func decodeAddresses(a *attrs, t *flows.Tuple) {
	in := a.nested()
	for in.next() {
		switch in.typ {
		case ctaIPv4Src:
			t.Src = address4(&in)
		case ctaIPv4Dst:
			t.Dst = address4(&in)
		case ctaIPv6Src:
			t.Src = address6(&in)
		case ctaIPv6Dst:
			t.Dst = address6(&in)
		}
	}
	a.adopt(&in)
}

func address4(a *attrs) netip.Addr {
	if len(a.value) != 4 {
		a.fail("IPv4 address not of 4 bytes")
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(a.value))
}

func address6(a *attrs) netip.Addr {
	if len(a.value) != 16 {
		a.fail("IPv6 address not of 16 bytes")
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(a.value))
}

func decodeProto(a *attrs, t *flows.Tuple) {
	in := a.nested()
	for in.next() {
		switch in.typ {
		case ctaProtoNum:
			t.Proto = flows.Proto(in.uint8())
		case ctaProtoSrcPort, ctaProtoICMPID, ctaProtoICMPv6ID:
			t.SrcPort = in.uint16()
		case ctaProtoDstPort:
			t.DstPort = in.uint16()
		case ctaProtoICMPType, ctaProtoICMPv6Type:
			t.DstPort |= uint16(in.uint8()) << 8
		case ctaProtoICMPCode, ctaProtoICMPv6Code:
			t.DstPort |= uint16(in.uint8())
		}
	}
	a.adopt(&in)
}
