package flower_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

var big = binary.BigEndian

// mark ends every packet that these tests send: who else sends is no concern.
const mark = "flowshunt rules"

// packet builds a packet that looks as told, with all checksums right.
func packet(f flows.Frame, t flows.Tuple, ttl byte, tcpFlags byte) []byte {
	b := append(append([]byte(nil), f.DstMAC[:]...), f.SrcMAC[:]...)
	for _, tag := range f.Tags[:f.Tags.Len()] {
		b = big.AppendUint16(big.AppendUint16(b, tag.Type), uint16(tag.Priority)<<13|tag.ID)
	}
	l4 := segment(t, tcpFlags)
	if t.IsIPv6() {
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(l4)), byte(t.Proto), ttl)
		return append(append(append(b, t.Src.AsSlice()...), t.Dst.AsSlice()...), l4...)
	}
	ip := []byte{0x45, 0, 0, byte(20 + len(l4)), 0, 7, 0x40, 0, ttl, byte(t.Proto), 0, 0}
	ip = append(append(ip, t.Src.AsSlice()...), t.Dst.AsSlice()...)
	big.PutUint16(ip[10:], checksum(ip))
	return append(append(append(b, 8, 0), ip...), l4...)
}

// segment builds what is behind the IP header.
func segment(t flows.Tuple, tcpFlags byte) []byte {
	var b []byte
	if t.Proto.HasPorts() {
		b = big.AppendUint16(big.AppendUint16(b, t.SrcPort), t.DstPort)
	}
	sum := 0
	switch t.Proto {
	case flows.TCP:
		b, sum = append(b, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, tcpFlags, 1, 0, 0, 0, 0, 0), 16
	case flows.UDP:
		b, sum = append(big.AppendUint16(b, uint16(8+len(mark))), 0, 0), 6
	default:
		b = append(b, 0, 0, 0, 1, 0, 0, 0, 1)
	}
	b = append(b, mark...)
	if sum > 0 {
		pseudo := append(append(t.Src.AsSlice(), t.Dst.AsSlice()...), 0, byte(t.Proto), 0, byte(len(b)))
		big.PutUint16(b[sum:], checksum(pseudo, b))
	}
	return b
}

// checksum is that of RFC 1071, of parts of which only the last may be odd.
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for i, c := range b {
			sum += uint32(c) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// whole waits for the next packet of these tests and returns all of it: the outer tag
// the kernel hands over beside the frame.
func (w *wire) whole() []byte {
	w.t.Helper()
	if err := unix.SetsockoptInt(w.fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		w.t.Fatal(err)
	}
	for buf, oob := make([]byte, 2048), make([]byte, 256); ; {
		n, oobn, _, from, err := unix.Recvmsg(w.fd, buf, oob, 0)
		if err != nil {
			w.t.Fatalf("no frame: %v", err)
		}
		sent := from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING
		if sent || !bytes.HasSuffix(buf[:n], []byte(mark)) {
			continue
		}
		return tctest.WithTag(buf[:n], oob[:oobn])
	}
}

func (w *wire) expect(what string, want []byte) {
	w.t.Helper()
	if got := w.whole(); !bytes.Equal(got, want) {
		w.t.Errorf("%s:\ngot  % x\nwant % x", what, got, want)
	}
}

// bridged puts the ports on a bridge, in the place of OVS: what no rule takes comes out
// of q2 as it came in.
func bridged(t *testing.T) {
	t.Helper()
	tctest.Veth(t, "p2", "q2")
	tctest.Run(t, "ip link add br0 type bridge")
	tctest.Run(t, "ip link set br0 up")
	for _, dev := range []string{"p0", "p1", "p2"} {
		tctest.Run(t, "ip link set "+dev+" master br0")
		tctest.Run(t, "ip link set "+dev+" type bridge_slave learning off")
	}
}

// TestLooks sends packets both ways past sessions of every kind without a tunnel: they
// arrive as the rule says, with their checksums right, and those with too few hops left
// go to the slow path as they are.
func TestLooks(t *testing.T) {
	tctest.NeedFlower(t)
	for _, s := range eswitchtest.Shapes {
		if s.Tunnel != (flows.Tunnel{}) || s.V6 && s.NAT != nil || s.Name == "ports" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			r := rig(t, flower.Config{})
			bridged(t)
			e := prepared(t, r)
			session := r.Shaped(1, s)
			if res := e.Install(t.Context(), []flows.Session{session}); res[0].Err != nil {
				t.Fatal(res[0].Err)
			}
			ends, slow := [2]*wire{openWire(t, "q0"), openWire(t, "q1")}, openWire(t, "q2")
			for dir, rule := range session.Rules {
				in := func(ttl byte) []byte { return packet(rule.Frame, rule.Tuple, ttl, 0x10) }
				path := flows.Path{Frame: rule.Frame, Change: rule.Change}
				hops := rule.Change.Value().Hops
				if hops > 0 {
					for ttl := range byte(flows.MaxHops + 1) {
						ends[dir].send(in(ttl))
						slow.expect("few hops left", in(ttl))
						ends[1-dir].expect("few hops left", in(ttl)) // of the bridge
					}
				}
				for _, ttl := range []byte{flows.MaxHops + 1, 64, 255} {
					ends[dir].send(in(ttl))
					ends[1-dir].expect(rule.Dir.String(), packet(path.Leaves(), path.Addressed(rule.Tuple), ttl-hops, 0x10))
				}
				control := packet(rule.Frame, rule.Tuple, 64, 0x11) // also says that nothing else came to the slow path
				if rule.Tuple.Proto != flows.TCP {
					other := rule.Tuple
					other.Src = other.Src.Next()
					control = packet(rule.Frame, other, 64, 0)
				}
				ends[dir].send(control)
				slow.expect("slow path", control)
				ends[1-dir].expect("slow path", control)
			}
			c, lost, err := e.Counters(t.Context())
			if err != nil || len(lost) > 0 || len(c) != 1 || c[0].Count[0].Packets != 3 || c[0].Count[1].Packets != 3 {
				t.Errorf("counters %+v, lost %v, %v", c, lost, err)
			}
		})
	}
}

// TestZeroChecksum: UDP over IPv4 without a checksum stays without.
func TestZeroChecksum(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{})
	e := prepared(t, r)
	s := r.Shaped(1, eswitchtest.Shape{Proto: flows.UDP, NAT: func(t flows.Tuple) flows.Tuple {
		t.Src = netip.MustParseAddr("203.0.113.1")
		return t
	}})
	if res := e.Install(t.Context(), []flows.Session{s}); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	without := func(b []byte) []byte {
		const at = 14 + 20 + 6
		b[at], b[at+1] = 0, 0
		return b
	}
	to := openWire(t, "q1")
	rule := s.Rules[0]
	openWire(t, "q0").send(without(packet(rule.Frame, rule.Tuple, 64, 0)))
	to.expect("no checksum", without(packet(rule.Change.Value().Frame, rule.Change.Value().Tuple, 64, 0)))
}
