package control

import (
	"fmt"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

func fromTuple(t flows.Tuple) *pb.Tuple {
	return &pb.Tuple{
		Src: t.Src.String(), SrcPort: uint32(t.SrcPort),
		Dst: t.Dst.String(), DstPort: uint32(t.DstPort),
		Proto: uint32(t.Proto),
	}
}

func toTuple(m *pb.Tuple) (flows.Tuple, error) {
	if m.GetProto() > 0xff || m.GetSrcPort() > 0xffff || m.GetDstPort() > 0xffff {
		return flows.Tuple{}, fmt.Errorf("tuple: protocol %d, ports %d and %d: out of range",
			m.GetProto(), m.GetSrcPort(), m.GetDstPort())
	}
	src, err := toAddr(m.GetSrc())
	if err != nil {
		return flows.Tuple{}, fmt.Errorf("tuple: source: %w", err)
	}
	dst, err := toAddr(m.GetDst())
	if err != nil {
		return flows.Tuple{}, fmt.Errorf("tuple: destination: %w", err)
	}
	t := flows.Tuple{
		Src: src, SrcPort: uint16(m.GetSrcPort()),
		Dst: dst, DstPort: uint16(m.GetDstPort()),
		Proto: flows.Proto(m.GetProto()),
	}
	if !t.IsValid() {
		return flows.Tuple{}, fmt.Errorf("tuple %s: one address is IPv4, the other IPv6", t)
	}
	return t, nil
}

func toAddr(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	return addr.Unmap().WithZone(""), err
}

func fromCounters(c flows.Counters) *pb.Counters {
	return &pb.Counters{Packets: c.Packets, Bytes: c.Bytes}
}

func toCounters(m *pb.Counters) flows.Counters {
	return flows.Counters{Packets: m.GetPackets(), Bytes: m.GetBytes()}
}
