package tc

import (
	"net/netip"
	"testing"

	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

const genevePort = 6081

// outer builds a Geneve packet for an underlay of IPv4, from 10.1.0.2 to 10.1.0.1.
func outer(dst [6]byte, vni uint32, options GeneveOptions, inner []byte) []byte {
	header := append([]byte{uint8(len(options) / 4), 0, 0x65, 0x58}, big.AppendUint32(nil, vni<<8)...)
	return packet{dst: dst, src: [6]byte{2, 0, 0, 0, 0, 0x99}, from: netip.MustParseAddr("10.1.0.2"), to: netip.MustParseAddr("10.1.0.1"),
		tos: 0x28, ttl: 64, proto: protoUDP, srcPort: 5000, dstPort: genevePort,
		payload: string(header) + string(options) + string(inner)}.frame()
}

// newTunnel adds to the ports a Geneve device whose underlay ends at the returned
// wire, and the address of the underlay's near end.
func newTunnel(t *testing.T) (b *bench, device int32, far *wire, near [6]byte) {
	t.Helper()
	b = newBench(t)
	near = [6]byte{2, 0, 0, 0, 0, 0x98}
	tctest.Veth(t, "u0", "u1")
	for _, command := range []string{
		"ip link set u0 address 02:00:00:00:00:98",
		"ip addr add 10.1.0.1/24 dev u0",
		"ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:99 dev u0 nud permanent",
		"ip link add gnv0 type geneve dstport 6081 external",
		"ip link set gnv0 up",
		"tc qdisc add dev gnv0 clsact",
	} {
		tctest.Run(t, command)
	}
	return b, tctest.Index(t, "gnv0"), openWire(t, "u1"), near
}

// TestEncapsulation sends a packet into a tunnel and looks at its outer header. Its
// ECN bits are the inner ones (RFC 6040).
func TestEncapsulation(t *testing.T) {
	for name, noFragment := range map[string]bool{"may be fragmented": false, "no fragment": true} {
		t.Run(name, func(t *testing.T) {
			b, device, far, _ := newTunnel(t)
			key := TunnelKey{Op: TunnelSet, ID: 0x123456, Src: netip.MustParseAddr("10.1.0.1"), Dst: netip.MustParseAddr("10.1.0.2"),
				DstPort: genevePort, TOS: 0x28, TTL: 33, Options: geneve, NoFragment: noFragment}
			reported := b.add(Filter{Link: b.p0, Pref: 1, Protocol: ProtocolIPv4,
				Actions: []Action{{Kind: KindTunnelKey, Verdict: Pipe, Tunnel: key}, b.to(device)}}).Actions[0].Tunnel
			if !reported.NoFragment && noFragment {
				t.Log("this kernel cannot do it, and does not say so")
				key.NoFragment = false
			}
			if reported != key {
				t.Errorf("reported %+v, want %+v", reported, key)
			}
			inner := tcp4.frame()
			b.in.send(inner)
			got := far.receive()
			if len(got) < 50 {
				t.Fatalf("% x", got)
			}
			ip, udp, tunnel := got[14:34], got[34:42], got[42:]
			if ip[1] != 0x28|tcp4.tos&3 || ip[8] != 33 || string(ip[12:]) != "\x0a\x01\x00\x01\x0a\x01\x00\x02" {
				t.Errorf("outer header % x", ip)
			}
			if df := ip[6]&0x40 != 0; df != key.NoFragment {
				t.Errorf("don't-fragment bit %v, reported %v", df, key.NoFragment)
			}
			if big.Uint16(udp[2:]) != genevePort || big.Uint16(udp[6:]) == 0 {
				t.Errorf("outer UDP header % x", udp)
			}
			want := "\x05\x00\x65\x58\x12\x34\x56\x00" + string(geneve) + string(inner)
			if string(tunnel) != want {
				t.Errorf("in the tunnel:\ngot  % x\nwant % x", tunnel, want)
			}
		})
	}
}

// TestDecapsulation takes packets out of a tunnel, and only those that the rule
// describes.
func TestDecapsulation(t *testing.T) {
	b, device, far, near := newTunnel(t)
	option := GeneveOption(0x0102, 0x80, 0, 1, 0, 2)
	b.add(Filter{Link: device, Pref: 1, Protocol: ProtocolIPv4, Actions: b.redirect(unset), Match: Match{
		IPProto: protoTCP, Src: ExactAddr(tcp4.from), DstPort: ExactPort(tcp4.dstPort),
		Tunnel: TunnelMatch{ID: Exact32(0x123456), Src: addr("10.1.0.2"), Dst: addr("10.1.0.1"), DstPort: ExactPort(genevePort),
			TOS: Match8{0x28, 0xfc}, TTL: Exact8(64), Options: ExactGeneve(option)},
	}})
	send := func(payload string, vni uint32, options GeneveOptions) []byte {
		p := tcp4
		p.payload = payload + mark
		far.send(outer(near, vni, options, p.frame()))
		return p.frame()
	}
	send("other network", 0x123457, option)
	send("other option", 0x123456, GeneveOption(0x0102, 0x80, 0, 1, 0, 3))
	send("other class", 0x123456, GeneveOption(0x0103, 0x80, 0, 1, 0, 2))
	send("no option", 0x123456, "")
	send("longer option", 0x123456, GeneveOption(0x0102, 0x80, 0, 1, 0, 2, 0, 0, 0, 0))
	// 16 bytes of options and 8 have no bit in common; 24 would pass.
	send("one more option", 0x123456, option+GeneveOption(0x0103, 0x80, 0, 0, 0, 0))
	b.expect("right packet", b.out, send("right", 0x123456, option))
}
