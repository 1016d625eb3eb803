package flows

import (
	"fmt"
	"net/netip"
	"strings"
)

// Dir is a direction of a connection.
type Dir uint8

// Orig is the direction of the packet that opened the connection, Reply the
// opposite one. They index two-element arrays.
const (
	Orig Dir = iota
	Reply
)

// Opposite returns the other direction.
func (d Dir) Opposite() Dir { return d ^ 1 }

// String returns "orig" or "reply".
func (d Dir) String() string {
	if d == Orig {
		return "orig"
	}
	return "reply"
}

// Tuple says how packets of one direction are addressed. Addresses are never
// IPv4-mapped IPv6 ones and have no zone. For protocols without ports both
// ports are 0, except that conntrack keeps, in the original direction, the ICMP
// identifier in SrcPort and type<<8|code in DstPort.
type Tuple struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	Proto            Proto
}

// Reverse returns the tuple of packets that travel the other way, absent NAT.
func (t Tuple) Reverse() Tuple {
	return Tuple{Src: t.Dst, Dst: t.Src, SrcPort: t.DstPort, DstPort: t.SrcPort, Proto: t.Proto}
}

// IsIPv6 reports whether the tuple is of IPv6 packets.
func (t Tuple) IsIPv6() bool { return t.Src.Is6() }

// IsValid reports whether both addresses are set and of one family.
func (t Tuple) IsValid() bool {
	return t.Src.IsValid() && t.Dst.IsValid() && t.Src.Is4() == t.Dst.Is4()
}

// String returns the form that ParseTuple reads: "tcp,10.0.0.1:40000,10.0.0.2:5201",
// with IPv6 addresses in brackets and, for protocols without ports, the
// addresses alone.
func (t Tuple) String() string {
	if !t.Proto.HasPorts() {
		return fmt.Sprintf("%s,%s,%s", t.Proto, t.Src, t.Dst)
	}
	return fmt.Sprintf("%s,%s,%s", t.Proto,
		netip.AddrPortFrom(t.Src, t.SrcPort), netip.AddrPortFrom(t.Dst, t.DstPort))
}

// ParseTuple reads the form that String writes.
func ParseTuple(s string) (Tuple, error) {
	parts := strings.Split(s, ",")
	if len(parts) != 3 {
		return Tuple{}, fmt.Errorf("tuple %q: want PROTO,SRC:PORT,DST:PORT", s)
	}
	proto, err := ParseProto(parts[0])
	if err != nil {
		return Tuple{}, fmt.Errorf("tuple %q: %w", s, err)
	}
	t := Tuple{Proto: proto}
	if t.Src, t.SrcPort, err = parseEnd(parts[1], proto); err != nil {
		return Tuple{}, fmt.Errorf("tuple %q: source: %w", s, err)
	}
	if t.Dst, t.DstPort, err = parseEnd(parts[2], proto); err != nil {
		return Tuple{}, fmt.Errorf("tuple %q: destination: %w", s, err)
	}
	if !t.IsValid() {
		return Tuple{}, fmt.Errorf("tuple %q: one address is IPv4, the other IPv6", s)
	}
	return t, nil
}

func parseEnd(s string, proto Proto) (netip.Addr, uint16, error) {
	if !proto.HasPorts() {
		addr, err := netip.ParseAddr(s)
		return addr.Unmap().WithZone(""), 0, err
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.Addr().Unmap().WithZone(""), ap.Port(), err
}
