package tc

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// packet is a frame of TCP or UDP to build.
type packet struct {
	dst, src         [6]byte
	tags             []uint32 // type and control information, the outer one first
	from, to         netip.Addr
	tos, ttl, proto  uint8
	srcPort, dstPort uint16
	payload          string
}

// frame builds the packet, with its checksums right.
func (p packet) frame() []byte {
	b := append(append([]byte(nil), p.dst[:]...), p.src[:]...)
	for _, tag := range p.tags {
		b = big.AppendUint32(b, tag)
	}
	l4 := big.AppendUint16(big.AppendUint16(nil, p.srcPort), p.dstPort)
	sum := 16
	if p.proto == protoTCP {
		l4 = append(l4, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0)
	} else {
		l4 = append(big.AppendUint16(l4, uint16(8+len(p.payload))), 0, 0)
		sum = 6
	}
	l4 = append(l4, p.payload...)
	addrs := append(p.from.AsSlice(), p.to.AsSlice()...)
	big.PutUint16(l4[sum:], checksum(addrs, []byte{0, p.proto}, big.AppendUint16(nil, uint16(len(l4))), l4))
	if p.from.Is6() {
		b = append(b, 0x86, 0xdd, 0x60|p.tos>>4, p.tos<<4, 0, 0, 0, byte(len(l4)), p.proto, p.ttl)
		return append(append(b, addrs...), l4...)
	}
	b = append(b, 8, 0)
	ip := append([]byte{0x45, p.tos, 0, byte(20 + len(l4)), 0, 7, 0x40, 0, p.ttl, p.proto, 0, 0}, addrs...)
	big.PutUint16(ip[10:], checksum(ip))
	return append(append(b, ip...), l4...)
}

// checksum is that of the Internet, of parts of which only the last may be odd.
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(big.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// wire is an end of a cable: frames can be sent and received there.
type wire struct {
	t  *testing.T
	fd int
}

func openWire(t *testing.T, dev string) *wire {
	t.Helper()
	all := toBig16(unix.ETH_P_ALL)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	wait := unix.NsecToTimeval((5 * time.Second).Nanoseconds())
	if err := errors.Join(
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: int(tctest.Index(t, dev))}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
	); err != nil {
		t.Fatal(err)
	}
	return &wire{t, fd}
}

func (w *wire) send(frame []byte) {
	w.t.Helper()
	if _, err := unix.Write(w.fd, frame); err != nil {
		w.t.Fatal(err)
	}
}

// mark ends the payload of all packets of these tests: who else sends is no concern.
const mark = " of a test of tc"

// receive waits for the next frame of these tests, and puts the outer tag back where
// it was: the kernel hands it over beside the frame.
func (w *wire) receive() []byte {
	w.t.Helper()
	for buf, oob := make([]byte, 2048), make([]byte, 256); ; {
		n, oobn, _, _, err := unix.Recvmsg(w.fd, buf, oob, 0)
		if err != nil {
			w.t.Fatalf("no frame: %v", err)
		}
		if !bytes.HasSuffix(buf[:n], []byte(mark)) {
			continue
		}
		return tctest.WithTag(buf[:n], oob[:oobn])
	}
}

// bench is a set of ports: what is sent into in comes to the filters of p0, and what
// these redirect to o0 comes out of out.
type bench struct {
	t       *testing.T
	c       *Conn
	in, out *wire
	p0, o0  int32
}

func newBench(t *testing.T) *bench {
	t.Helper()
	tctest.NeedFlower(t)
	c, p0, _ := open(t)
	tctest.Veth(t, "o0", "o1")
	return &bench{t, c, openWire(t, "p1"), openWire(t, "o1"), p0, tctest.Index(t, "o0")}
}

// add installs a filter and returns what the kernel has made of it.
func (b *bench) add(f Filter) *Filter {
	b.t.Helper()
	f.Kind, f.Parent, f.Flags = KindFlower, Ingress, SkipHW
	r := b.c.one(b.t, func(batch *Batch) error { return batch.AddFilter(&f, Exclusive|Echo) })
	if r.Err != nil {
		b.t.Fatal(r.Err)
	}
	return r.Filter
}

func (b *bench) redirect(actions ...Action) []Action { return append(actions, b.to(b.o0)) }

func (b *bench) to(link int32) Action {
	return Action{Kind: KindMirred, Verdict: Stolen, Op: EgressRedirect, Link: link}
}

func (b *bench) expect(what string, w *wire, want []byte) {
	b.t.Helper()
	if got := w.receive(); !bytes.Equal(got, want) {
		b.t.Errorf("%s:\ngot  % x\nwant % x", what, got, want)
	}
}

var (
	tcp4 = packet{dst: macB.Value, src: macA.Value, from: netip.MustParseAddr("10.0.0.1"), to: netip.MustParseAddr("10.0.0.2"),
		tos: 0x29, ttl: 64, proto: protoTCP, srcPort: 40000, dstPort: 5201, payload: "a packet" + mark}
	udp6 = packet{dst: macB.Value, src: macA.Value, from: netip.MustParseAddr("2001:db8::1"), to: netip.MustParseAddr("2001:db8::2"),
		tos: 0x29, ttl: 64, proto: protoUDP, srcPort: 40000, dstPort: 53, payload: "a packet" + mark}
)

// TestPacketsAreRewritten sends a packet through each kind of action.
func TestPacketsAreRewritten(t *testing.T) {
	macC, macD := ExactMAC([6]byte{2, 0, 0, 0, 0, 3}), ExactMAC([6]byte{2, 0, 0, 0, 0, 4})
	for name, tt := range map[string]struct {
		packet   packet
		protocol uint16
		match    Match
		actions  []Action
		change   func(*packet) // what has changed when it arrives
	}{
		"push": {tcp4, ProtocolIPv4, Match{}, []Action{
			{Kind: KindVLAN, Verdict: Pipe, VLAN: VLANChange{VLANPush, VLANTag(20, 5), ProtocolVLAN}},
			{Kind: KindVLAN, Verdict: Pipe, VLAN: VLANChange{VLANPush, VLANTag(10, 0), ProtocolQinQ}},
		}, func(p *packet) { p.tags = []uint32{0x88a8000a, 0x8100a014} }},
		"pop": {tcp4.tagged(0x8100a014), ProtocolVLAN,
			Match{VLAN: VLANMatch{VLANTag(20, 5), ProtocolIPv4}, Src: ExactAddr(tcp4.from)},
			[]Action{popTag}, func(p *packet) { p.tags = nil }},
		"qinq": {udp6.tagged(0x88a8000a, 0x8100a014), ProtocolQinQ,
			Match{VLAN: VLANMatch{VLANTag(10, 0), ProtocolVLAN}, CVLAN: VLANMatch{VLANTag(20, 5), ProtocolIPv6}, IPProto: protoUDP,
				DstPort: ExactPort(53)},
			[]Action{popTag, {Kind: KindVLAN, Verdict: Pipe, VLAN: VLANChange{VLANModify, VLANID(21), ProtocolVLAN}}},
			func(p *packet) { p.tags = []uint32{0x8100a015} }},
		"nat4": {tcp4, ProtocolIPv4, Match{IPProto: protoTCP, TTL: Match8{64, 0xc0}}, []Action{
			{Kind: KindPedit, Verdict: Pipe, Rewrite: Rewrite{
				SrcMAC: macC, DstMAC: macD, Protocol: ProtocolIPv4, Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"), TTLAdd: 255,
				IPProto: protoTCP, SrcPort: ExactPort(1024), DstPort: ExactPort(80)}},
			{Kind: KindCsum, Verdict: Pipe, Checksums: ChecksumIPv4 | ChecksumTCP},
		}, func(p *packet) {
			p.src, p.dst, p.ttl = macC.Value, macD.Value, 63
			p.from, p.to, p.srcPort, p.dstPort = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), 1024, 80
		}},
		"nat6": {udp6, ProtocolIPv6, Match{IPProto: protoUDP, TTL: Exact8(64), TOS: Match8{0x28, 0xfc}}, []Action{
			{Kind: KindPedit, Verdict: Pipe, Rewrite: Rewrite{
				Protocol: ProtocolIPv6, Src: addr("2001:db8::a"), Dst: addr("2001:db8::b"), TTLAdd: 255,
				IPProto: protoUDP, SrcPort: ExactPort(1024), DstPort: ExactPort(5353)}},
			{Kind: KindCsum, Verdict: Pipe, Checksums: ChecksumUDP},
		}, func(p *packet) {
			p.from, p.to = netip.MustParseAddr("2001:db8::a"), netip.MustParseAddr("2001:db8::b")
			p.ttl, p.srcPort, p.dstPort = 63, 1024, 5353
		}},
		"dscp4": {tcp4, ProtocolIPv4, Match{TOS: Exact8(0x29)}, []Action{
			{Kind: KindPedit, Verdict: Pipe, Rewrite: Rewrite{Protocol: ProtocolIPv4, TOS: Match8{0xb8, 0xfc}, TTL: Exact8(9)}},
			{Kind: KindCsum, Verdict: Pipe, Checksums: ChecksumIPv4},
		}, func(p *packet) { p.tos, p.ttl = 0xb9, 9 }},
		"dscp6": {udp6, ProtocolIPv6, Match{}, []Action{
			{Kind: KindPedit, Verdict: Pipe, Rewrite: Rewrite{Protocol: ProtocolIPv6, TOS: Match8{0xb8, 0xfc}, TTL: Exact8(9)}},
		}, func(p *packet) { p.tos, p.ttl = 0xb9, 9 }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.add(Filter{Link: b.p0, Pref: 1, Protocol: tt.protocol, Match: tt.match, Actions: b.redirect(tt.actions...)})
			b.in.send(tt.packet.frame())
			tt.change(&tt.packet)
			b.expect("packet", b.out, tt.packet.frame())
		})
	}
}

func (p packet) tagged(tags ...uint32) packet {
	p.tags = tags
	return p
}

// TestGuard keeps packets that a router must answer out of the rule behind it.
func TestGuard(t *testing.T) {
	b := newBench(t)
	for i, p := range []packet{tcp4, udp6} {
		protocol := [...]uint16{ProtocolIPv4, ProtocolIPv6}[i]
		b.add(Filter{Link: b.p0, Pref: uint16(1 + i), Protocol: protocol, Match: Match{TTL: Match8{0, 0xfe}},
			Actions: []Action{{Kind: KindGact, Verdict: Pass}}})
		b.add(Filter{Link: b.p0, Pref: uint16(3 + i), Protocol: protocol, Actions: b.redirect()})
		for _, p.ttl = range []uint8{0, 1, 2, 1, 255} {
			b.in.send(p.frame())
		}
		for _, p.ttl = range []uint8{2, 255} {
			b.expect("packet", b.out, p.frame())
		}
	}
}

// TestPoliceLimits binds a filter to a shared police action, of which the kernel
// reports the verdicts with which it was made; and to one that nobody has made.
func TestPoliceLimits(t *testing.T) {
	b := newBench(t)
	tctest.Run(t, "tc actions add action police rate 1mbit burst 100 conform-exceed drop/pipe index 5 skip_hw")
	f := b.add(Filter{Link: b.p0, Pref: 1, Protocol: ProtocolIPv4, Actions: b.redirect(Police(5, Pass, Pass))})
	if want := Police(5, Drop, Pipe); !f.Actions[0].Same(&want) {
		t.Errorf("reported %+v, want %+v", f.Actions[0], want)
	}
	long := tcp4
	long.payload = string(make([]byte, 150)) + mark // above the burst
	b.in.send(long.frame())
	b.in.send(tcp4.frame())
	b.expect("packet", b.out, tcp4.frame())

	b.add(Filter{Link: b.p0, Pref: 2, Protocol: ProtocolIPv6, Actions: b.redirect(Police(6, Drop, Pipe))})
	for range 100 {
		b.in.send(udp6.frame())
		b.expect("packet without a limit", b.out, udp6.frame())
	}
}
