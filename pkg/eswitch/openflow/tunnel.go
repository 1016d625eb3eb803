package openflow

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// The tunnels of a bridge on the userspace datapath have no network device. Instead of
// its index they have a number that no device gets, which tells the bridge, by a hash of
// its name, and the OpenFlow port; so a process that knows nothing finds them.
const (
	tunnelLink = 1 << 30
	bridgeBits = 14
	portBits   = 16
)

// TunnelLink returns what stands for the index of the network device of a tunnel that has
// none: an OpenFlow port of a bridge.
func TunnelLink(bridge string, port uint32) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(bridge))
	return int32(tunnelLink | h.Sum32()%(1<<bridgeBits)<<portBits | port%(1<<portBits))
}

func isTunnelLink(link int32) bool { return link >= tunnelLink }

// ofTunnel returns where a tunnel is a port.
func (p *places) ofTunnel(link int32) (at place, ok bool, err error) {
	bridges, err := p.driver.all()
	if err != nil {
		return at, false, err
	}
	for _, b := range bridges {
		number := uint32(link) % (1 << portBits)
		if TunnelLink(b.name, number) != link {
			continue
		}
		ports, err := p.read(b)
		if err != nil {
			return at, false, err
		}
		for _, n := range ports {
			if n == number {
				return place{b, n}, true, nil
			}
		}
	}
	return at, false, nil
}

var tunnelFields = map[bool][2]of.Field{false: {of.TunnelIPv4Src, of.TunnelIPv4Dst}, true: {of.TunnelIPv6Src, of.TunnelIPv6Dst}}

// appendTunnel says in which tunnel packets leave. What else there is in the outer header
// is the port's: so it was when the path was found.
func appendTunnel(to []of.Action, t flows.Tunnel) []of.Action {
	fields := tunnelFields[t.Dst.Is6()]
	to = append(to, set(of.TunnelID, binary.BigEndian.AppendUint64(nil, uint64(t.ID))))
	if t.Src.IsValid() {
		to = append(to, set(fields[0], t.Src.AsSlice()))
	}
	return append(to, set(fields[1], t.Dst.AsSlice()))
}

// tunnelNoteLen is the length of a note for rules with tunnels. It goes on with what of
// these stands nowhere else: UDP port, TTL, TOS and flags where packets leave, a byte that
// is 0, and the UDP port where they arrive.
const tunnelNoteLen = noteLen + 8

const (
	noteChecksum = 1 << iota
	noteMayBreak
)

func appendTunnelNote(b []byte, in, out flows.Tunnel) []byte {
	var flags byte
	if out.Checksum {
		flags |= noteChecksum
	}
	if out.MayBreak {
		flags |= noteMayBreak
	}
	b = binary.BigEndian.AppendUint16(b, out.Port)
	b = append(b, out.TTL, out.TOS, flags, 0)
	return binary.BigEndian.AppendUint16(b, in.Port)
}

// tunnelsOf is the reverse, for what is in a note; zero where there are none.
func tunnelsOf(note []byte) (in, out flows.Tunnel) {
	if len(note) != tunnelNoteLen {
		return in, out
	}
	b := note[noteLen:]
	out = flows.Tunnel{
		Port: binary.BigEndian.Uint16(b), TTL: b[2], TOS: b[3], Checksum: b[4]&noteChecksum != 0, MayBreak: b[4]&noteMayBreak != 0,
	}
	return flows.Tunnel{Port: binary.BigEndian.Uint16(b[6:])}, out
}

// arrives returns the outer header that a match says, with what a note adds.
func arrives(m *of.Match, noted flows.Tunnel) flows.Ref[flows.Tunnel] {
	if !m.TunnelDst.IsValid() {
		return flows.Ref[flows.Tunnel]{}
	}
	noted.Src, noted.Dst, noted.ID = m.TunnelSrc, m.TunnelDst, uint32(m.TunnelID)
	return flows.RefTo(noted)
}

// setTunnel takes a value that is set in the outer header.
func (l *leaving) setTunnel(f of.Field, value []byte) {
	addr, _ := netip.AddrFromSlice(value)
	switch f {
	case of.TunnelID:
		l.tunnel.ID = uint32(binary.BigEndian.Uint64(value))
	case of.TunnelIPv4Src, of.TunnelIPv6Src:
		l.tunnel.Src = addr
	case of.TunnelIPv4Dst, of.TunnelIPv6Dst:
		l.tunnel.Dst = addr
	}
}
