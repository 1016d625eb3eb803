package flows

import "net/netip"

// PacketMatch is a set of packets as they come in at a port. A zero field stands
// for any value, so the zero PacketMatch is every packet. It is used to say which
// packets a change concerns: a set that is too large costs work, one that is too
// small is a hole.
type PacketMatch struct {
	In               PortID
	SrcMAC, DstMAC   MAC // with the masks below
	SrcMask, DstMask MAC
	IPv4, IPv6       bool // both false: any
	Proto            Proto
	Src, Dst         netip.Prefix // zero: any
	SrcPort, DstPort uint16       // with the masks below
	SrcPortMask      uint16
	DstPortMask      uint16
}

// Has reports whether packets of a tuple that take a path are in the set.
func (m *PacketMatch) Has(p Path, t Tuple) bool {
	switch {
	case m.In != 0 && m.In != p.In,
		!sameMasked(m.SrcMAC, p.SrcMAC, m.SrcMask), !sameMasked(m.DstMAC, p.DstMAC, m.DstMask),
		(m.IPv4 || m.IPv6) && m.IPv6 != t.IsIPv6(),
		m.Proto != 0 && m.Proto != t.Proto,
		m.Src.IsValid() && !m.Src.Contains(t.Src), m.Dst.IsValid() && !m.Dst.Contains(t.Dst),
		(m.SrcPort^t.SrcPort)&m.SrcPortMask != 0, (m.DstPort^t.DstPort)&m.DstPortMask != 0:
		return false
	}
	return true
}

func sameMasked(a, b, mask MAC) bool {
	for i := range a {
		if (a[i]^b[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}
