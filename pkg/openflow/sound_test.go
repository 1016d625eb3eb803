package openflow

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// term is one field of a random match, in either form.
type term struct {
	field       field
	value, mask []byte
}

func (tm term) append(b []byte) []byte {
	header := uint32(tm.field)<<9 | 0x100 | uint32(2*len(tm.value))
	b = binary.BigEndian.AppendUint32(b, header)
	return append(append(b, tm.value...), tm.mask...)
}

// TestNeverSmaller makes packets and flows that match them, and sees that the
// set a flow is narrowed to holds the packet.
func TestNeverSmaller(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		p, tuple := randomPacket(rng)
		var b []byte
		var terms []term
		for _, field := range fieldsOf(p, tuple) {
			if rng.IntN(2) == 0 {
				continue
			}
			mask := randomMask(rng, len(field.value))
			for i := range mask {
				field.value[i] &= mask[i]
			}
			field.mask = mask
			terms = append(terms, field)
			b = field.append(b)
		}
		var c Change
		if err := c.narrow(b); err != nil {
			t.Fatal(err)
		}
		if !c.Match.Has(p, tuple) {
			t.Fatalf("%v by %+v\nis not in %+v\nof %x", tuple, p, c.Match, terms)
		}
		if c.NonIP {
			t.Fatalf("an IP packet's flow is none: %x", terms)
		}
	}
}

func randomPacket(rng *rand.Rand) (flows.Path, flows.Tuple) {
	p := flows.Path{Frame: flows.Frame{SrcMAC: flows.MAC(randomBytes(rng, 6)), DstMAC: flows.MAC(randomBytes(rng, 6))}}
	width := 4
	if rng.IntN(2) == 0 {
		width = 16
	}
	src, _ := netip.AddrFromSlice(randomBytes(rng, width))
	dst, _ := netip.AddrFromSlice(randomBytes(rng, width))
	protos := []flows.Proto{flows.TCP, flows.UDP, flows.SCTP}
	return p, flows.Tuple{
		Src: src, Dst: dst, Proto: protos[rng.IntN(len(protos))],
		SrcPort: uint16(rng.Uint32()), DstPort: uint16(rng.Uint32()),
	}
}

// fieldsOf returns each field of a packet that narrows, exact.
func fieldsOf(p flows.Path, t flows.Tuple) []term {
	ethType, src, dst := uint16(ethIPv4), oxmIPv4Src, nxmIPDst
	if t.IsIPv6() {
		ethType, src, dst = ethIPv6, nxmIPv6Src, oxmIPv6Dst
	}
	u16 := func(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
	ports := map[flows.Proto][2]field{
		flows.TCP: {oxmTCPSrc, nxmTCPDst}, flows.UDP: {nxmUDPSrc, oxmUDPDst}, flows.SCTP: {oxmSCTPSrc, oxmSCTPDst},
	}[t.Proto]
	return []term{
		{field: nxmEthSrc, value: bytes.Clone(p.SrcMAC[:])}, {field: oxmEthDst, value: bytes.Clone(p.DstMAC[:])},
		{field: oxmEthType, value: u16(ethType)}, {field: nxmIPProto, value: []byte{byte(t.Proto)}},
		{field: src, value: t.Src.AsSlice()}, {field: dst, value: t.Dst.AsSlice()},
		{field: ports[0], value: u16(t.SrcPort)}, {field: ports[1], value: u16(t.DstPort)},
	}
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// randomMask returns all ones, a prefix, or anything.
func randomMask(rng *rand.Rand, n int) []byte {
	if rng.IntN(3) == 0 {
		return randomBytes(rng, n)
	}
	b := make([]byte, n)
	for bit := range 8 * n {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	for bit := 8*n - 1; rng.IntN(3) > 0 && bit > 0; bit-- {
		b[bit/8] &^= 0x80 >> (bit % 8)
	}
	return b
}
