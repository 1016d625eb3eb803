package tap

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// inTunnel puts a frame into a tunnel between two addresses.
func inTunnel(t testing.TB, outer string, header []byte, inner frame) []byte {
	f := frame{tuple: tuple(t, outer), dscp: 63}
	b := f.build()
	b = b[:len(b)-20+udpLen] // transport() is as long as TCP's header
	return append(append(b, header...), inner.build()...)
}

var (
	vxlanHeader  = []byte{8, 0, 0, 0, 0x12, 0x34, 0x56, 0}
	geneveHeader = []byte{1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 0x80, 0}
)

func with(header []byte, at int, value byte) []byte {
	header = append([]byte{}, header...)
	header[at] = value
	return header
}

func TestInside(t *testing.T) {
	const (
		vxlan4  = "udp,192.0.2.1:5555,192.0.2.2:4789"
		geneve6 = "udp,[2001:db8::1]:5555,[2001:db8::2]:6081"
	)
	inner := frame{tuple: tuple(t, tcp6), tcpFlags: FIN, dscp: 10, tags: []uint16{9}}
	for _, tt := range []struct {
		name   string
		outer  string
		header []byte
		want   flows.Tunnel // zero: none
	}{
		{"VXLAN", vxlan4, vxlanHeader, flows.Tunnel{ID: 0x123456, Port: VXLANPort}},
		{"VXLAN with an extension", vxlan4, with(vxlanHeader, 0, 0x88), flows.Tunnel{}},
		{"VXLAN without an identifier", vxlan4, with(vxlanHeader, 0, 0), flows.Tunnel{}},
		{"Geneve with an option", geneve6, geneveHeader, flows.Tunnel{ID: 7, Port: GenevePort, Options: "\x01\x02\x80\x00"}},
		{"Geneve with IP inside", geneve6, with(geneveHeader, 3, 0), flows.Tunnel{}},
		{"Geneve to be looked at", geneve6, with(geneveHeader, 1, 0x80), flows.Tunnel{}},
		{"Geneve of another version", geneve6, with(geneveHeader, 0, 0x41), flows.Tunnel{}},
		{"another port", "udp,192.0.2.1:5555,192.0.2.2:4790", vxlanHeader, flows.Tunnel{}},
		{"TCP", "tcp,192.0.2.1:5555,192.0.2.2:4789", vxlanHeader, flows.Tunnel{}},
	} {
		b := inTunnel(t, tt.outer, tt.header, inner)
		s, ok := Inside(b, flows.Tag{})
		if tt.want == (flows.Tunnel{}) {
			if ok {
				t.Errorf("%s: %+v", tt.name, s)
			}
			continue
		}
		outer := tuple(t, tt.outer)
		tt.want.Src, tt.want.Dst = outer.Src, outer.Dst
		want := flows.Frame{SrcMAC: macA, DstMAC: macB, Tags: flows.Tags{customer(9)}, Tunnel: flows.RefTo(tt.want)}
		if !ok || s.Frame != want || s.Tuple != inner.tuple || s.TCPFlags != FIN || s.DSCP != 1+10 || s.Length != ipv6Len+20 {
			t.Errorf("%s: %+v, %v, want %v", tt.name, s, ok, want)
		}
		if len(b) > SnapLen {
			t.Errorf("%s: %d bytes are more than a tap reads", tt.name, len(b))
		}
		for n := range b {
			if s, ok := Inside(b[:n], flows.Tag{}); ok && n < len(b)-20+tcpFlagsAt {
				t.Errorf("%s: %+v of %d bytes", tt.name, s, n)
			}
		}
	}
}

func FuzzInside(f *testing.F) {
	f.Add(inTunnel(f, "udp,192.0.2.1:5555,192.0.2.2:4789", vxlanHeader, frame{tuple: tuple(f, tcp4)}))
	f.Add(inTunnel(f, "udp,[2001:db8::1]:5555,[2001:db8::2]:6081", geneveHeader, frame{tuple: tuple(f, tcp6)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := Inside(b, flows.Tag{})
		if !ok {
			return
		}
		tunnel := s.Tunnel.Value()
		if !tunnel.Src.IsValid() || tunnel.Src.Is4() != tunnel.Dst.Is4() || !s.Tuple.IsValid() || len(tunnel.Options) > 252 ||
			tunnel.ID >= 1<<24 || tunnel.ID != binary.BigEndian.Uint32([]byte{0, byte(tunnel.ID >> 16), byte(tunnel.ID >> 8), byte(tunnel.ID)}) {
			t.Errorf("%+v in %v", s, tunnel)
		}
	})
}

// TestInsideOfSocket: a tap reports a packet in a tunnel as it is, and what is inside where
// that was asked for.
func TestInsideOfSocket(t *testing.T) {
	w := newWire(t)
	for _, inside := range []bool{false, true} {
		taps, seen := watch(t, Config{}, Port{ID: 7, Ifindex: w.port, Sample: 1, Inside: inside})
		sent := inTunnel(t, "udp,192.0.2.1:5555,192.0.2.2:4789", vxlanHeader, frame{tuple: tuple(t, tcp6)})
		if err := unix.Sendto(w.far, sent, 0, &unix.SockaddrLinklayer{Ifindex: w.farIndex}); err != nil {
			t.Fatal(err)
		}
		if s := next(t, seen); !s.Tunnel.IsZero() || s.Tuple.DstPort != VXLANPort {
			t.Errorf("%+v", s)
		}
		if inside {
			if s := next(t, seen); s.Tunnel.Value().Dst != netip.MustParseAddr("192.0.2.2") || s.Tuple != tuple(t, tcp6) || s.Port != 7 {
				t.Errorf("%+v", s)
			}
		}
		w.send(frame{tuple: tuple(t, udp4)})
		if s := next(t, seen); s.Tuple != tuple(t, udp4) {
			t.Errorf("%+v, want the next packet", s)
		}
		taps.Close()
	}
}

// TestFlagsInside: without any sampling a FIN in a tunnel is reported, once and as what is
// inside, while that is asked for.
func TestFlagsInside(t *testing.T) {
	w := newWire(t)
	port := Port{ID: 7, Ifindex: w.port}
	taps, seen := watch(t, Config{}, port)
	for _, port.Inside = range []bool{false, true, false} {
		if err := taps.Set([]Port{port}); err != nil {
			t.Fatal(err)
		}
		sent := inTunnel(t, "udp,192.0.2.1:5555,192.0.2.2:6081", geneveHeader, frame{tuple: tuple(t, tcp4), tcpFlags: FIN})
		if err := unix.Sendto(w.far, sent, 0, &unix.SockaddrLinklayer{Ifindex: w.farIndex}); err != nil {
			t.Fatal(err)
		}
		if port.Inside {
			if s := next(t, seen); s.Tunnel.Value().Port != GenevePort || s.Tuple != tuple(t, tcp4) || s.TCPFlags != FIN {
				t.Errorf("%+v", s)
			}
		}
		w.send(frame{tuple: tuple(t, tcp6), tcpFlags: RST})
		if s := next(t, seen); s.Tuple != tuple(t, tcp6) {
			t.Errorf("%+v, want the next packet", s)
		}
	}
}
