package harness

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

func TestDissect(t *testing.T) {
	const (
		v4  = "45000028000040004006000000000000" + "00000000"
		v4x = "450005dc000040004006000000000000" + "00000000"
		v6  = "600000000014064000000000000000000000000000000000" + "00000000000000000000000000000000"
		v6x = "600000000020064000000000000000000000000000000000" + "00000000000000000000000000000000"
		esp = "45000028000040004032000000000000" + "00000000"
		udp = "45000028000040004011000000000000" + "00000000"
		arp = "0001080006040001fa163e0000010a000001000000000000" + "0a000002"
	)
	tcp := func(flags string) string { return "9c40232800000000" + "0000000050" + flags + "000000000000" }
	for _, tt := range []struct {
		name, packet   string
		ports          CapturedPorts
		control, known bool
		payload        int
	}{
		{"nothing but headers", v4 + tcp("10"), CapturedPorts{40000, 9000}, false, true, 0},
		{"data", v4x + tcp("18"), CapturedPorts{40000, 9000}, false, true, 1460},
		{"fin", v4 + tcp("11"), CapturedPorts{40000, 9000}, true, true, 0},
		{"data over IPv6", v6x + tcp("10"), CapturedPorts{40000, 9000}, false, true, 12},
		{"rst over IPv6", v6 + tcp("14"), CapturedPorts{40000, 9000}, true, true, 0},
		{"udp, whose payload has no flags", udp + tcp("ff"), CapturedPorts{40000, 9000}, false, true, 12},
		{"esp", esp + tcp("ff"), CapturedPorts{}, false, true, 0},
		{"arp", arp, CapturedPorts{}, false, false, 0},
		{"cut", v4 + tcp("18")[:20], CapturedPorts{}, false, false, 0},
		{"nothing", "", CapturedPorts{}, false, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			packet, err := hex.DecodeString(tt.packet)
			if err != nil {
				t.Fatal(err)
			}
			want := dissected{tt.ports, tt.control, tt.payload}
			if d, known := dissect(packet); d != want || known != tt.known {
				t.Errorf("%+v, known %v", d, known)
			}
		})
	}
}

// What is inside a tunnel is found behind options and over either family, and a packet
// that ends too soon carries nothing.
func TestInside(t *testing.T) {
	const (
		v4       = "45000078000040004011000000000000" + "00000000"
		v6       = "6000000000601140" + "00000000000000000000000000000000" + "00000000000000000000000000000000"
		udp      = "c00017c100600000" // to Geneve's port
		vxlanUDP = "c00012b500600000"
		geneve   = "0000655800000100"
		option   = "0240655800000100" + "0102800100020003"
		vxlan    = "0800000000012300"
		ethernet = "fa163e000002" + "fa163e000001" + "0800"
		in       = "4500"
	)
	for _, tt := range []struct {
		name, packet string
		found        bool
	}{
		{"Geneve", v4 + udp + geneve + ethernet + in, true},
		{"Geneve with OVN's option", v4 + udp + option + ethernet + in, true},
		{"Geneve over IPv6", v6 + udp + option + ethernet + in, true},
		{"VXLAN", v4 + vxlanUDP + vxlan + ethernet + in, true},
		{"UDP to another port", v4 + "c000232800600000" + geneve + ethernet + in, false},
		{"cut off in the options", v4 + udp + option, false},
		{"cut off behind Ethernet", v4 + udp + geneve + ethernet, false},
		{"nothing", "", false},
	} {
		packet, err := hex.DecodeString(tt.packet)
		if err != nil {
			t.Fatal(err)
		}
		got, found := inside(packet)
		if found != tt.found || found && hex.EncodeToString(got) != in {
			t.Errorf("%s: %x, %v", tt.name, got, found)
		}
	}
}

// A tunnel's ends are told apart, over either family.
func TestLastTunnelled(t *testing.T) {
	const (
		v4    = "450000780000400040110000" + "c0000201" + "c0000202"
		v6    = "6000000000601140" + "20010db8000000000000000000000001" + "20010db8000000000000000000000002"
		outer = "c00017c100600000" + "0000655800000100" + "fa163e000002" + "fa163e000001" + "0800"
		inner = "45000028000040004006000000000000" + "00000000" + "9c402328" + "0000000000000000" + "5010" + "000000000000"
	)
	for _, tt := range []struct{ header, from, to string }{{v4, "192.0.2.1", "192.0.2.2"}, {v6, "2001:db8::1", "2001:db8::2"}} {
		c := &Capture{last: make(map[CapturedPorts]Captured), outer: make(map[tunnelled]Captured)}
		packet, err := hex.DecodeString(tt.header + outer + inner)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1, 0)
		c.count(packet, uint64(len(packet)), at)
		for _, end := range []struct {
			addr string
			from bool
			seen bool
		}{{tt.from, true, true}, {tt.to, false, true}, {tt.from, false, false}, {tt.to, true, false}} {
			last := c.LastTunnelled(t, netip.MustParseAddr(end.addr), end.from, 40000, 9000)
			if last.Equal(at) != end.seen {
				t.Errorf("%s, from %v: %v", end.addr, end.from, last)
			}
		}
		if !c.LastTunnelled(t, netip.MustParseAddr(tt.to), false, 9000, 40000).IsZero() {
			t.Error("seen with the ports the other way round")
		}
	}
}
