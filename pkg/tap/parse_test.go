package tap

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowshunt/flowshunt/flows"
)

const (
	tcp4 = "tcp,10.0.0.1:40000,10.0.0.2:443"
	tcp6 = "tcp,[fd00::1]:40000,[fd00::2]:443"
	udp4 = "udp,10.0.0.1:40000,10.0.0.2:443"
	esp6 = "esp,fd00::1,fd00::2"
)

func customer(id uint16) flows.Tag { return flows.Tag{Type: flows.TagCustomer, ID: id} }

var provider = flows.Tag{Type: flows.TagProvider, ID: 7}

func TestParse(t *testing.T) {
	tests := []struct {
		name  string
		frame frame
		tag   flows.Tag
		tags  flows.Tags
		want  bool
	}{
		{name: "tcp", frame: frame{tuple: tuple(t, tcp4), tcpFlags: SYN, seq: 0xfedcba98}, want: true},
		{name: "answer", frame: frame{tuple: tuple(t, tcp6), tcpFlags: SYN | 1<<4, seq: 0x01020304}, want: true},
		{name: "options", frame: frame{tuple: tuple(t, tcp4), tcpFlags: FIN, options: 40, seq: 9}, want: true},
		{name: "udp", frame: frame{tuple: tuple(t, udp4)}, want: true},
		{name: "icmp", frame: frame{tuple: tuple(t, "icmp,10.0.0.1,10.0.0.2")}, want: true},
		{name: "tcp over IPv6", frame: frame{tuple: tuple(t, tcp6), tcpFlags: RST}, want: true},
		{name: "esp over IPv6", frame: frame{tuple: tuple(t, esp6)}, want: true},
		{name: "extensions", frame: frame{tuple: tuple(t, tcp6), ext: []byte{0, 43, 60, 60}}, want: true},
		{name: "too many extensions", frame: frame{tuple: tuple(t, tcp6), ext: []byte{0, 60, 60, 60, 60}}},
		{name: "IPv6 fragment", frame: frame{tuple: tuple(t, tcp6), ext: []byte{44}}},
		{name: "IPv6 authentication", frame: frame{tuple: tuple(t, tcp6), ext: []byte{51}}},
		{name: "IPv4 in IPv6 address", frame: frame{tuple: mapped(t)}},
		{name: "first fragment", frame: frame{tuple: tuple(t, tcp4), fragment: 0x2000}},
		{name: "last fragment", frame: frame{tuple: tuple(t, tcp4), fragment: 0x00b9}},
		{name: "IPv4, marked", frame: frame{tuple: tuple(t, tcp4), dscp: 46}, want: true},
		{name: "IPv6, marked", frame: frame{tuple: tuple(t, tcp6), dscp: 46}, want: true},
		{name: "IPv6, all bits", frame: frame{tuple: tuple(t, tcp6), dscp: 63}, want: true},
		{name: "do not fragment", frame: frame{tuple: tuple(t, tcp4), fragment: 0x4000}, want: true},
		{name: "tag in the frame", frame: frame{tuple: tuple(t, tcp4), tags: []uint16{0xe00a}}, tags: flows.Tags{{Type: flows.TagCustomer, ID: 10, Priority: 7}}, want: true},
		{name: "priority tag", frame: frame{tuple: tuple(t, tcp4), tags: []uint16{0}}, tags: flows.Tags{customer(0)}, want: true},
		{name: "tag taken out", frame: frame{tuple: tuple(t, tcp4)}, tag: provider, tags: flows.Tags{provider}, want: true},
		{name: "two tags", frame: frame{tuple: tuple(t, tcp6), tags: []uint16{10}}, tag: provider, tags: flows.Tags{provider, customer(10)}, want: true},
		{name: "two tags in the frame", frame: frame{tuple: tuple(t, tcp4), tags: []uint16{10, 11}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := Parse(test.frame.build(), test.tag)
			var want Sighting
			if test.want {
				length := len(test.frame.build()) - etherLen - vlanLen*len(test.frame.tags)
				want = Sighting{Length: uint16(length), DSCP: flows.DSCP(test.frame.dscp) + 1, Frame: flows.Frame{SrcMAC: macA, DstMAC: macB, Tags: test.tags},
					Tuple: test.frame.tuple, TCPFlags: test.frame.tcpFlags}
				if want.TCPFlags&SYN != 0 {
					want.Seq = test.frame.seq
				}
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(flows.Tuple{}, flows.Frame{})); ok != test.want || diff != "" {
				t.Errorf("Parse = %t, difference (-want +got):\n%s", ok, diff)
			}
		})
	}
}

// Every cut of a valid frame is refused until all that is reported is there.
func TestParseTruncated(t *testing.T) {
	for _, f := range []frame{
		{tuple: tuple(t, tcp4), options: 8, tags: []uint16{5}},
		{tuple: tuple(t, tcp6), ext: []byte{0, 60}},
	} {
		whole := f.build()
		needed := len(whole) - 20 + tcpFlagsAt + 1
		for n := range len(whole) + 1 {
			if _, ok := Parse(whole[:n:n], flows.Tag{}); ok != (n >= needed) {
				t.Errorf("%s: %d of %d bytes: %t, %d are needed", f.tuple, n, len(whole), ok, needed)
			}
		}
	}
}

func TestParseMalformed(t *testing.T) {
	for name, spoil := range map[string]func(ip []byte){
		"version":             func(ip []byte) { ip[0] = 0x65 },
		"short header":        func(ip []byte) { ip[0] = 0x44 },
		"long header":         func(ip []byte) { ip[0] = 0x4f },
		"length below header": func(ip []byte) { ip[2], ip[3] = 0, 19 },
	} {
		b := frame{tuple: tuple(t, tcp4)}.build()
		spoil(b[etherLen:])
		if _, ok := Parse(b, flows.Tag{}); ok {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(frame{tuple: tuple(f, tcp4), options: 4, tags: []uint16{5}}.build(), uint16(0))
	f.Add(frame{tuple: tuple(f, tcp6), ext: []byte{0, 43, 60}}.build(), uint16(0x1000))
	f.Add(frame{tuple: tuple(f, esp6)}.build(), uint16(9))
	f.Add(frame{tuple: tuple(f, tcp4), tcpFlags: SYN, seq: 7}.build(), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, tag uint16) {
		s, ok := Parse(b, tagOf(flows.TagProvider, tag))
		if !ok {
			if s != (Sighting{}) {
				t.Fatalf("refused, yet %+v", s)
			}
			return
		}
		if !s.Tuple.IsValid() || s.Tuple.Src.Is4In6() {
			t.Fatalf("invalid tuple %v", s.Tuple)
		}
		if s.Seq != 0 && (s.Tuple.Proto != flows.TCP || s.TCPFlags&SYN == 0) {
			t.Fatalf("a first sequence number of %v with flags %#x", s.Tuple, s.TCPFlags)
		}
		if !s.Tuple.Proto.HasPorts() && (s.Tuple.SrcPort != 0 || s.Tuple.DstPort != 0) {
			t.Fatalf("ports of a protocol without: %v", s.Tuple)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, f := range map[string]frame{
		"tcp4": {tuple: tuple(b, tcp4)},
		"tcp6": {tuple: tuple(b, tcp6)},
	} {
		b.Run(name, func(b *testing.B) {
			bytes := f.build()
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := Parse(bytes, flows.Tag{}); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}
