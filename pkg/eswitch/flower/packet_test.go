package flower_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// wire is an end of a cable: frames can be sent and received there.
type wire struct {
	t  *testing.T
	fd int
}

func openWire(t *testing.T, dev string) *wire {
	t.Helper()
	all := int(binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	addr := &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: int(tctest.Index(t, dev))}
	if err := unix.Bind(fd, addr); err != nil {
		t.Fatal(err)
	}
	wait := unix.NsecToTimeval((5 * time.Second).Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
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

// payload waits for the next frame between the two stations of the tests and
// returns its last byte.
func (w *wire) payload() byte {
	w.t.Helper()
	buf := make([]byte, 2048)
	for {
		n, err := unix.Read(w.fd, buf)
		if err != nil {
			w.t.Fatalf("no frame: %v", err)
		}
		if n > 12 && buf[0] == 2 && buf[5] <= 2 && buf[6] == 2 && buf[11] <= 2 {
			return buf[n-1]
		}
	}
}

// frame builds a packet of one direction; label is its last byte.
func frame(r flows.Rule, tcpFlags byte, fragment bool, label byte) []byte {
	b := append(append([]byte(nil), r.DstMAC[:]...), r.SrcMAC[:]...)
	l4 := transport(r.Tuple, tcpFlags, label)
	if r.Tuple.IsIPv6() {
		next := byte(r.Tuple.Proto)
		if fragment {
			l4 = append([]byte{next, 0, 0, 1, 0, 0, 0, 7}, l4...)
			next = 44
		}
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(l4)), next, 64)
	} else {
		var frag byte
		if fragment {
			frag = 0x20
		}
		b = append(b, 8, 0, 0x45, 0, 0, byte(20+len(l4)), 0, 7, frag, 0, 64, byte(r.Tuple.Proto), 0, 0)
	}
	for _, a := range []netip.Addr{r.Tuple.Src, r.Tuple.Dst} {
		b = append(b, a.AsSlice()...)
	}
	return append(b, l4...)
}

func transport(t flows.Tuple, tcpFlags, label byte) []byte {
	var b []byte
	if t.Proto.HasPorts() {
		b = binary.BigEndian.AppendUint16(b, t.SrcPort)
		b = binary.BigEndian.AppendUint16(b, t.DstPort)
	}
	if t.Proto == flows.TCP {
		b = append(b, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, tcpFlags, 1, 0, 0, 0, 0, 0)
	} else {
		b = append(b, 0, 9, 0, 0, 0, 0, 0, 0)
	}
	return append(b, label)
}

// TestPackets sends real packets past the rules: those of the connection cross
// from port to port, those that must stay in sight do not.
func TestPackets(t *testing.T) {
	tctest.NeedFlower(t)
	for name, tt := range map[string]struct {
		proto flows.Proto
		v6    bool
	}{
		"tcp4": {flows.TCP, false}, "tcp6": {flows.TCP, true}, "udp4": {flows.UDP, false},
		"udp6": {flows.UDP, true}, "sctp4": {flows.SCTP, false}, "esp4": {flows.ESP, false}, "gre6": {flows.GRE, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := rig(t, flower.Config{})
			e := prepared(t, r)
			s := r.Session(1, tt.proto, tt.v6)
			if res := e.Install(t.Context(), []flows.Session{s}); res[0].Err != nil {
				t.Fatal(res[0].Err)
			}
			ends := [2]*wire{openWire(t, "q0"), openWire(t, "q1")}
			for dir, rule := range s.Rules {
				from, to := ends[dir], ends[1-dir]
				other := rule
				for _, f := range excluded(rule) {
					from.send(f)
				}
				from.send(frame(rule, 0x10, false, 1)) // ACK
				from.send(frame(rule, 0x18, false, 2)) // PSH, ACK
				other.SrcMAC[5] = 9
				from.send(frame(other, 0x10, false, 0xbb)) // a spoofed sender
				from.send(frame(rule, 0x30, false, 3))     // URG, ACK
				for want := byte(1); want <= 3; want++ {
					if got := to.payload(); got != want {
						t.Fatalf("%s: packet %#x arrived, want %#x", rule.Dir, got, want)
					}
				}
			}
			counters, lost, err := e.Counters(t.Context())
			if err != nil || len(counters) != 1 || len(lost) != 0 {
				t.Fatalf("%v, %v, %v", counters, lost, err)
			}
			const ethernet = 14 // which the kernel has taken off before it counts
			bytes := uint64(3 * (len(frame(s.Rules[0], 0x10, false, 1)) - ethernet))
			want := flows.Counters{Packets: 3, Bytes: bytes}
			if counters[0].Count != [2]flows.Counters{want, want} {
				t.Errorf("counters %+v, want 3 packets and %d bytes each way", counters[0].Count, bytes)
			}
		})
	}
}

// excluded returns packets of the connection that no rule may match.
func excluded(r flows.Rule) (frames [][]byte) {
	frames = append(frames, frame(r, 0x10, true, 0xf0))
	if r.Tuple.Proto == flows.TCP {
		for _, flags := range []byte{0x02, 0x12, 0x01, 0x11, 0x04, 0x14, 0x19} {
			frames = append(frames, frame(r, flags, false, 0xa0|flags&0xf))
		}
	}
	if r.Tuple.Proto.HasPorts() {
		other := r
		other.Tuple.DstPort++
		frames = append(frames, frame(other, 0x10, false, 0xcc))
	}
	other := r
	other.Tuple.Src = other.Tuple.Src.Next()
	return append(frames, frame(other, 0x10, false, 0xdd))
}
