package harness

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// The UDP ports at which tunnels end.
const (
	genevePort = 6081
	vxlanPort  = 4789
)

// inside returns the IP packet that the beginning of a packet of Geneve or VXLAN carries.
func inside(packet []byte) ([]byte, bool) {
	const udp, base, ethernet = 8, 8, 14
	if len(packet) < 1 {
		return nil, false
	}
	header, proto := 40, 6
	if packet[0]>>4 == 4 {
		header, proto = int(packet[0]&0xf)*4, 9
	}
	if len(packet) < header+udp+base || packet[proto] != unix.IPPROTO_UDP {
		return nil, false
	}
	behind := header + udp + base
	switch binary.BigEndian.Uint16(packet[header+2:]) {
	case genevePort:
		behind += int(packet[header+udp]&0x3f) * 4 // options
	case vxlanPort:
	default:
		return nil, false
	}
	if behind += ethernet; len(packet) <= behind {
		return nil, false
	}
	return packet[behind:], true
}
