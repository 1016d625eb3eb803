package harness

import (
	"encoding/hex"
	"testing"
)

func TestDissect(t *testing.T) {
	const (
		v4  = "45000028000040004006000000000000" + "00000000"
		v6  = "600000000014064000000000000000000000000000000000" + "00000000000000000000000000000000"
		esp = "45000028000040004032000000000000" + "00000000"
		udp = "45000028000040004011000000000000" + "00000000"
		arp = "0001080006040001fa163e0000010a000001000000000000" + "0a000002"
	)
	tcp := func(flags string) string { return "9c40232800000000" + "0000000050" + flags + "000000000000" }
	for _, tt := range []struct {
		name, packet   string
		ports          CapturedPorts
		control, known bool
	}{
		{"data", v4 + tcp("18"), CapturedPorts{40000, 9000}, false, true},
		{"fin", v4 + tcp("11"), CapturedPorts{40000, 9000}, true, true},
		{"data over IPv6", v6 + tcp("10"), CapturedPorts{40000, 9000}, false, true},
		{"rst over IPv6", v6 + tcp("14"), CapturedPorts{40000, 9000}, true, true},
		{"udp, whose payload has no flags", udp + tcp("ff"), CapturedPorts{40000, 9000}, false, true},
		{"esp", esp + tcp("ff"), CapturedPorts{}, false, true},
		{"arp", arp, CapturedPorts{}, false, false},
		{"cut", v4 + tcp("18")[:20], CapturedPorts{}, false, false},
		{"nothing", "", CapturedPorts{}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			packet, err := hex.DecodeString(tt.packet)
			if err != nil {
				t.Fatal(err)
			}
			if ports, control, known := dissect(packet); ports != tt.ports || control != tt.control || known != tt.known {
				t.Errorf("%v, control %v, known %v", ports, control, known)
			}
		})
	}
}
