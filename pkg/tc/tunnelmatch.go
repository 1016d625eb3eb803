package tc

import "fmt"

// Match32 compares a 32-bit field under a mask. A zero mask matches any.
type Match32 struct{ Value, Mask uint32 }

// Exact32 matches one value.
func Exact32(v uint32) Match32 { return Match32{v, 0xffffffff} }

// TunnelMatch compares the header that a tunnel device has taken off a packet. The
// zero value matches any, also packets that came in no tunnel.
type TunnelMatch struct {
	ID       Match32 // the key, or VNI; under a full mask or none
	Src, Dst AddrMatch
	DstPort  Match16
	TOS, TTL Match8
	Options  GeneveMatch
}

func (m *TunnelMatch) validate() error {
	if m.ID.Mask != 0 && m.ID.Mask != 0xffffffff {
		return fmt.Errorf("%w: tunnel key under mask %#08x", ErrInvalid, m.ID.Mask)
	}
	for _, a := range [...]*AddrMatch{&m.Src, &m.Dst} {
		if a.isSet() && !a.valid() {
			return fmt.Errorf("%w: tunnel address %s/%s", ErrInvalid, a.Value, a.Mask)
		}
	}
	if m.Src.isSet() && m.Dst.isSet() && m.Src.Value.Is4() != m.Dst.Value.Is4() {
		return fmt.Errorf("%w: tunnel from %s to %s", ErrInvalid, m.Src.Value, m.Dst.Value)
	}
	return m.Options.validate()
}

func (m *TunnelMatch) append(b []byte) []byte {
	if *m == (TunnelMatch{}) {
		return b
	}
	if m.ID.Mask != 0 {
		b = appendBE32(b, flowerEncKeyID, m.ID.Value)
	}
	b = m.Src.append(b, flowerEncSrc4, flowerEncSrc6)
	b = m.Dst.append(b, flowerEncDst4, flowerEncDst6)
	b = m.DstPort.appendPort(b, flowerEncDst, flowerEncDstMask)
	b = m.TOS.append(b, flowerEncTOS)
	b = m.TTL.append(b, flowerEncTTL)
	b = m.Options.Value.append(b, flowerEncOpts)
	return m.Options.Mask.append(b, flowerEncOptsMsk)
}

// decode takes one key. It reports whether it knows the attribute.
func (m *TunnelMatch) decode(a *attrs) bool {
	switch a.typ {
	case flowerEncKeyID:
		m.ID = Exact32(a.be32())
	case flowerEncSrc4:
		m.Src.Value = a.addr4()
	case flowerEncSrc4Msk:
		m.Src.Mask = a.addr4()
	case flowerEncDst4:
		m.Dst.Value = a.addr4()
	case flowerEncDst4Msk:
		m.Dst.Mask = a.addr4()
	case flowerEncSrc6:
		m.Src.Value = a.addr6()
	case flowerEncSrc6Msk:
		m.Src.Mask = a.addr6()
	case flowerEncDst6:
		m.Dst.Value = a.addr6()
	case flowerEncDst6Msk:
		m.Dst.Mask = a.addr6()
	case flowerEncDst:
		m.DstPort.decode(a)
	case flowerEncDstMask:
		m.DstPort.Mask = a.be16()
	default:
		return m.decodeRest(a)
	}
	return true
}

func (m *TunnelMatch) decodeRest(a *attrs) (ok bool) {
	switch a.typ {
	case flowerEncTOS:
		m.TOS.decode(a)
	case flowerEncTOSMask:
		m.TOS.Mask = a.u8()
	case flowerEncTTL:
		m.TTL.decode(a)
	case flowerEncTTLMask:
		m.TTL.Mask = a.u8()
	case flowerEncOpts:
		m.Options.Value, ok = decodeGeneve(a.nest())
		return ok
	case flowerEncOptsMsk:
		m.Options.Mask, ok = decodeGeneve(a.nest())
		return ok
	default:
		return false
	}
	return true
}
