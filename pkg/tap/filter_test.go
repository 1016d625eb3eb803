package tap

import (
	"slices"
	"testing"

	"golang.org/x/net/bpf"
)

// filterVM runs the program with the kernel's two inputs replaced by constants,
// because the VM has neither.
func filterVM(t *testing.T, sample, packetType, random uint32, inside bool) *bpf.VM {
	t.Helper()
	raw, err := Filter(sample, inside)
	if err != nil {
		t.Fatal(err)
	}
	program, all := bpf.Disassemble(raw)
	if !all {
		t.Fatal("unknown instructions")
	}
	for i, ins := range program {
		switch ins {
		case bpf.LoadExtension{Num: bpf.ExtType}:
			program[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: packetType}
		case bpf.LoadExtension{Num: bpf.ExtRand}:
			program[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: random}
		}
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

func TestFilter(t *testing.T) {
	const always, never = uint32(0), ^uint32(0)
	tests := []struct {
		name          string
		frame         frame
		typ           uint32
		want          bool
		wantOnSample1 bool
	}{
		{name: "SYN", frame: frame{tuple: tuple(t, tcp4), tcpFlags: SYN}, want: true, wantOnSample1: true},
		{name: "FIN and ACK", frame: frame{tuple: tuple(t, tcp4), tcpFlags: FIN | 0x10}, want: true, wantOnSample1: true},
		{name: "RST behind options", frame: frame{tuple: tuple(t, tcp4), tcpFlags: RST, options: 12}, want: true, wantOnSample1: true},
		{name: "RST over IPv6", frame: frame{tuple: tuple(t, tcp6), tcpFlags: RST}, want: true, wantOnSample1: true},
		{name: "FIN tagged", frame: frame{tuple: tuple(t, tcp4), tcpFlags: FIN, options: 4, tags: []uint16{10}}, want: true, wantOnSample1: true},
		{name: "FIN tagged IPv6", frame: frame{tuple: tuple(t, tcp6), tcpFlags: FIN, tags: []uint16{10}}, want: true, wantOnSample1: true},
		{name: "FIN sent by the host", frame: frame{tuple: tuple(t, tcp4), tcpFlags: FIN}, typ: packetOutgoing},
		{name: "FIN in a fragment", frame: frame{tuple: tuple(t, tcp4), tcpFlags: FIN, fragment: 0x2000}},
		{name: "two tags", frame: frame{tuple: tuple(t, tcp4), tcpFlags: FIN, tags: []uint16{10, 11}}},
		{name: "data", frame: frame{tuple: tuple(t, tcp4), tcpFlags: 0x18}, wantOnSample1: true},
		{name: "data over IPv6", frame: frame{tuple: tuple(t, tcp6), tcpFlags: 0x18}, wantOnSample1: true},
		{name: "UDP", frame: frame{tuple: tuple(t, udp4)}, wantOnSample1: true},
		{name: "UDP tagged", frame: frame{tuple: tuple(t, udp4), tags: []uint16{10}}, wantOnSample1: true},
		{name: "ESP over IPv6", frame: frame{tuple: tuple(t, esp6)}, wantOnSample1: true},
		{name: "UDP fragment", frame: frame{tuple: tuple(t, udp4), fragment: 0x00b9}},
	}
	for _, test := range tests {
		for _, sampling := range []struct {
			sample, random uint32
			want           bool
		}{
			{0, 0, test.want},
			{1, never, test.wantOnSample1},
			{64, always, test.wantOnSample1},
			{64, never, test.want},
		} {
			vm := filterVM(t, sampling.sample, test.typ, sampling.random, true)
			length, err := vm.Run(test.frame.build())
			if err != nil {
				t.Fatal(err)
			}
			if got := length != 0; got != sampling.want {
				t.Errorf("%s: 1 of %d, random %#x: accepted %t, want %t",
					test.name, sampling.sample, sampling.random, got, sampling.want)
			}
		}
	}
}

func TestFilterCutPacket(t *testing.T) {
	vm := filterVM(t, 0, 0, 0, true)
	whole := frame{tuple: tuple(t, tcp4), tcpFlags: RST}.build()
	for n := range etherLen + ipv4MinLen + tcpFlagsAt {
		if length, err := vm.Run(whole[:n]); err != nil || length != 0 {
			t.Fatalf("%d bytes: %d, %v", n, length, err)
		}
	}
}

// TestFilterInside: FIN, SYN and RST in a tunnel let a packet through where that is asked for.
func TestFilterInside(t *testing.T) {
	const (
		vxlan, geneve = "udp,192.0.2.1:5555,192.0.2.2:4789", "udp,192.0.2.1:5555,192.0.2.2:6081"
		geneve6       = "udp,[2001:db8::1]:5555,[2001:db8::2]:6081"
	)
	options := append(with(geneveHeader[:8], 0, 20), make([]byte, 80)...)
	fin := frame{tuple: tuple(t, tcp4), tcpFlags: FIN | 0x10, options: 8}
	for _, tt := range []struct {
		name, outer string
		header      []byte
		inner       frame
		tags        []uint16
		want        bool
	}{
		{"FIN in VXLAN", vxlan, vxlanHeader, fin, nil, true},
		{"RST over IPv6 in VXLAN", vxlan, vxlanHeader, frame{tuple: tuple(t, tcp6), tcpFlags: RST}, nil, true},
		{"tagged VXLAN", vxlan, vxlanHeader, fin, []uint16{10}, true},
		{"FIN in Geneve", geneve, geneveHeader, fin, nil, true},
		{"FIN behind many options", geneve, options, fin, nil, true},
		{"SYN over IPv6 in Geneve", geneve, geneveHeader, frame{tuple: tuple(t, tcp6), tcpFlags: SYN}, nil, true},
		{"data", vxlan, vxlanHeader, frame{tuple: tuple(t, tcp4), tcpFlags: 0x18}, nil, false},
		{"data over IPv6", geneve, geneveHeader, frame{tuple: tuple(t, tcp6), tcpFlags: 0x18}, nil, false},
		{"UDP", vxlan, vxlanHeader, frame{tuple: tuple(t, udp4)}, nil, false},
		{"a fragment", vxlan, vxlanHeader, frame{tuple: tuple(t, tcp4), tcpFlags: FIN, fragment: 0x2000}, nil, false},
		{"another port", "udp,192.0.2.1:5555,192.0.2.2:4790", vxlanHeader, fin, nil, false},
		{"over IPv6", geneve6, geneveHeader, fin, nil, false},
		{"a tag inside", vxlan, vxlanHeader, frame{tuple: tuple(t, tcp4), tcpFlags: FIN, tags: []uint16{10}}, nil, false},
	} {
		b := inTunnel(t, tt.outer, tt.header, tt.inner)
		if tt.tags != nil {
			b = slices.Insert(b, 12, 0x81, 0, 0, byte(tt.tags[0]))
		}
		for _, inside := range []bool{true, false} {
			length, err := filterVM(t, 0, 0, 0, inside).Run(b)
			if err != nil || (length != 0) != (tt.want && inside) {
				t.Errorf("%s, looking inside %t: %d, %v", tt.name, inside, length, err)
			}
		}
		vm := filterVM(t, 0, 0, 0, true)
		for n := range len(b) { // whatever is cut off
			if _, err := vm.Run(b[:n]); err != nil {
				t.Fatalf("%s: %d bytes: %v", tt.name, n, err)
			}
		}
	}
}
