package megaflow

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// TestPlaces: no two fields share a bit, each has its own bits and a name.
func TestPlaces(t *testing.T) {
	var used Key
	names := make(map[string]Field)
	for f := range numFields {
		all := full(f)
		if all == (Key{}) || all.meets(&used) {
			t.Errorf("%s: no bits, or those of another field", f)
		}
		for i := range used {
			used[i] |= all[i]
		}
		if _, twice := names[f.String()]; twice || f.String() == "" {
			t.Errorf("field %d: name %q", f, f)
		}
		names[f.String()] = f
		if got := all.first(); got != f {
			t.Errorf("%s: first says %s", f, got)
		}
	}
	if numFields.String() != "field35" {
		t.Error(numFields.String())
	}
}

func TestKeyFields(t *testing.T) {
	var k Key
	for f := range numFields {
		if places[f].bits > 64 {
			k.SetWide(f, [16]byte{0: byte(f) + 1, 15: byte(f)})
		} else {
			k.SetUint(f, uint64(f)+1|1<<40)
		}
	}
	for f := range numFields {
		bits := places[f].bits
		if bits > 64 {
			if got := k.Wide(f); got != [16]byte{0: byte(f) + 1, 15: byte(f)} {
				t.Errorf("%s: %x", f, got)
			}
			continue
		}
		want := uint64(f) + 1
		if bits > 40 {
			want |= 1 << 40
		}
		if got := k.Uint(f); got != want {
			t.Errorf("%s: %#x, want %#x", f, got, want)
		}
	}
}

func TestNewPacket(t *testing.T) {
	for _, test := range []struct {
		tuple  string
		known  map[Field]uint64
		opaque []Field
	}{
		{"tcp,10.0.0.1:40000,10.0.0.2:5201", map[Field]uint64{EthType: 0x800, IPProto: 6, TPSrc: 40000, TPDst: 5201, InPort: 7, EthSrc: 0x020000000001}, []Field{IPTOS, IPTTL, SkbMark, SkbPriority, DPHash, IPv6Label}},
		{"udp,[fd00::1]:1,[fd00::2]:2", map[Field]uint64{EthType: 0x86dd, IPProto: 17, TPSrc: 1, TPDst: 2, CTState: 0, IPFrag: 0}, []Field{TCPFlags, IPv6Label}},
		{"esp,10.0.0.1,10.0.0.2", map[Field]uint64{IPProto: 50, TPSrc: 0, TPDst: 0, VLANTCI: 0, RecircID: 0}, []Field{TCPFlags}},
		{"icmp,10.0.0.1,10.0.0.2", map[Field]uint64{IPProto: 1}, []Field{TPSrc, TPDst}},
	} {
		p := NewPacket(7, flows.Frame{SrcMAC: flows.MAC{2, 0, 0, 0, 0, 1}}, tuple(t, test.tuple))
		for f, v := range test.known {
			if all := full(f); p.Key.Uint(f) != v || p.Known.Uint(f) != all.Uint(f) {
				t.Errorf("%s: %s is %#x/%#x, want %#x", test.tuple, f, p.Key.Uint(f), p.Known.Uint(f), v)
			}
		}
		for _, f := range test.opaque {
			if p.Known.Uint(f) != 0 {
				t.Errorf("%s: %s is known", test.tuple, f)
			}
		}
	}
	p := NewPacket(7, flows.Frame{}, tuple(t, "tcp,10.0.0.1:1,10.0.0.2:2"))
	if p.Known.Uint(TCPFlags) != 7 || p.Key.Uint(TCPFlags) != 0 {
		t.Errorf("tcp_flags %#x/%#x", p.Key.Uint(TCPFlags), p.Known.Uint(TCPFlags))
	}
	if src := p.Key.Wide(IPSrc); src != [16]byte{12: 10, 15: 1} {
		t.Errorf("ip_src %x", src)
	}
}

func tuple(t testing.TB, s string) flows.Tuple {
	t.Helper()
	tuple, err := flows.ParseTuple(s)
	if err != nil {
		t.Fatal(err)
	}
	return tuple
}
