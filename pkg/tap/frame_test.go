package tap

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// frame describes a test packet; build spells it out.
type frame struct {
	tags     []uint16 // in the frame, outer first
	tuple    flows.Tuple
	tcpFlags byte
	seq      uint32
	dscp     byte   // 0 to 63; the two bits of ECN behind it are 3
	options  int    // bytes of IPv4 options, a multiple of 4
	fragment uint16 // the IPv4 flags and offset
	ext      []byte // types of IPv6 extension headers, 8 bytes each
}

var (
	macA = flows.MAC{2, 0, 0, 0, 0, 0xa}
	macB = flows.MAC{2, 0, 0, 0, 0, 0xb}
)

func tuple(t testing.TB, s string) flows.Tuple {
	t.Helper()
	tuple, err := flows.ParseTuple(s)
	if err != nil {
		t.Fatal(err)
	}
	return tuple
}

func (f frame) build() []byte {
	b := append(macB[:len(macB):len(macB)], macA[:]...)
	for _, tci := range f.tags {
		b = binary.BigEndian.AppendUint16(b, flows.TagCustomer)
		b = binary.BigEndian.AppendUint16(b, tci)
	}
	if f.tuple.IsIPv6() {
		return f.ipv6(binary.BigEndian.AppendUint16(b, etherIPv6))
	}
	return f.ipv4(binary.BigEndian.AppendUint16(b, etherIPv4))
}

func (f frame) ipv4(b []byte) []byte {
	l4 := f.transport()
	header := ipv4MinLen + f.options
	b = append(b, 0x40|byte(header/4), f.dscp<<2|3)
	b = binary.BigEndian.AppendUint16(b, uint16(header+len(l4)))
	b = append(b, 0, 1)
	b = binary.BigEndian.AppendUint16(b, f.fragment)
	b = append(b, 64, byte(f.tuple.Proto), 0, 0)
	b = append(b, f.tuple.Src.AsSlice()...)
	b = append(b, f.tuple.Dst.AsSlice()...)
	for range f.options {
		b = append(b, 1) // no-operation
	}
	return append(b, l4...)
}

func (f frame) ipv6(b []byte) []byte {
	l4 := f.transport()
	chain := append(f.ext[:len(f.ext):len(f.ext)], byte(f.tuple.Proto))
	b = append(b, 0x60|f.dscp>>2, f.dscp<<6|0x3f, 0xff, 0xff) // with a flow label
	b = binary.BigEndian.AppendUint16(b, uint16(8*len(f.ext)+len(l4)))
	b = append(b, chain[0], 64)
	b = append(b, f.tuple.Src.AsSlice()...)
	b = append(b, f.tuple.Dst.AsSlice()...)
	for _, next := range chain[1:] {
		b = append(b, next, 0, 1, 4, 0, 0, 0, 0)
	}
	return append(b, l4...)
}

func (f frame) transport() []byte {
	l4 := make([]byte, 20)
	if f.tuple.Proto.HasPorts() {
		binary.BigEndian.PutUint16(l4, f.tuple.SrcPort)
		binary.BigEndian.PutUint16(l4[2:], f.tuple.DstPort)
	}
	if f.tuple.Proto == flows.TCP {
		l4[12], l4[tcpFlagsAt] = 5<<4, f.tcpFlags
		binary.BigEndian.PutUint32(l4[tcpSeqAt:], f.seq)
	}
	return l4
}

func mapped(t testing.TB) flows.Tuple {
	t.Helper()
	return flows.Tuple{
		Src: netip.MustParseAddr("::ffff:10.0.0.1"), Dst: netip.MustParseAddr("fd00::2"), Proto: flows.UDP,
	}
}
