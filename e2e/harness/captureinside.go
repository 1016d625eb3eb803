package harness

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

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

// tunnelled is what is seen of a packet in a tunnel: the tunnel's ends, and the ports inside.
type tunnelled struct {
	from, to netip.Addr
	ports    CapturedPorts
}

// addresses are those in the header of an IP packet, source first, of which inside has
// found that it is there.
func addresses(packet []byte) (from, to netip.Addr) {
	at, length := 8, 16
	if packet[0]>>4 == 4 {
		at, length = 12, 4
	}
	from, _ = netip.AddrFromSlice(packet[at : at+length])
	to, _ = netip.AddrFromSlice(packet[at+length : at+2*length])
	return from, to
}

// LastTunnelled is when the last packet from one port to another was seen in a tunnel: in
// one from this end, or in one to it; zero: never.
func (c *Capture) LastTunnelled(t testing.TB, end netip.Addr, from bool, src, dst uint16) (last time.Time) {
	t.Helper()
	if err := c.failed(); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, seen := range c.outer {
		at := k.to
		if from {
			at = k.from
		}
		if at == end && k.ports == (CapturedPorts{src, dst}) && seen.Last.After(last) {
			last = seen.Last
		}
	}
	return last
}
