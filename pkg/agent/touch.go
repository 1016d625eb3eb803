package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// toucher sends packets of connections through the conntrack of the userspace datapath,
// and nowhere else.
type toucher struct {
	rundir  string
	bridges func() []bridgeFacts
}

// fromController is the OpenFlow port of packets that come in nowhere.
const fromController = 0xfffffffd

// touch sends one packet of the original direction for each entry. The datapath is one
// for all bridges, so any of them will do.
func (t *toucher) touch(ctx context.Context, entries []flows.EntryKey) error {
	bridge := ""
	for _, b := range t.bridges() {
		if b.datapath == userspace {
			bridge = b.name
		}
	}
	if bridge == "" {
		return errors.New("there is no bridge on the userspace datapath")
	}
	client, err := openflow.Dial(ctx, openflow.SocketPath(t.rundir, bridge), 0)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", bridge, err)
	}
	defer client.Close()
	packets := make([]openflow.PacketOut, len(entries))
	for i, key := range entries {
		packets[i] = openflow.PacketOut{
			InPort: fromController, Frame: emptyPacket(key.Tuple),
			Actions: []openflow.Action{{Kind: openflow.Track, Zone: uint16(key.Zone)}},
		}
	}
	errs := make([]error, len(packets))
	return errors.Join(client.Send(ctx, packets, errs), errors.Join(errs...))
}

// emptyPacket returns an Ethernet frame of a connection, from nobody to nobody, with
// nothing in it. UDP's checksum is 0 in IPv4, which is none, and computed in IPv6.
func emptyPacket(t flows.Tuple) []byte {
	frame := make([]byte, 12, 80)
	transport := make([]byte, 8) // as long as a header of ESP or UDP; for others, what there is
	binary.BigEndian.PutUint16(transport, t.SrcPort)
	binary.BigEndian.PutUint16(transport[2:], t.DstPort)
	if t.Proto == flows.UDP {
		binary.BigEndian.PutUint16(transport[4:], uint16(len(transport)))
	}
	if t.IsIPv6() {
		src, dst := t.Src.As16(), t.Dst.As16()
		header := []byte{0x60, 0, 0, 0, 0, byte(len(transport)), byte(t.Proto), 64}
		if t.Proto == flows.UDP {
			pseudo := append(append(append([]byte{}, src[:]...), dst[:]...), 0, 0, 0, byte(len(transport)), 0, 0, 0, byte(t.Proto))
			binary.BigEndian.PutUint16(transport[6:], checksum(append(pseudo, transport...)))
		}
		frame = append(append(frame, 0x86, 0xdd), header...)
		frame = append(append(frame, src[:]...), dst[:]...)
		return append(frame, transport...)
	}
	src, dst := t.Src.As4(), t.Dst.As4()
	header := []byte{0x45, 0, 0, byte(20 + len(transport)), 0, 0, 0, 0, 64, byte(t.Proto), 0, 0}
	header = append(append(header, src[:]...), dst[:]...)
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	return append(append(append(frame, 0x08, 0x00), header...), transport...)
}

// checksum is that of the Internet (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
