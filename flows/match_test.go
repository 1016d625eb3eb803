package flows

import (
	"net/netip"
	"testing"
)

func TestPacketMatch(t *testing.T) {
	path := Path{In: 7, Out: 8, Frame: Frame{SrcMAC: MAC{2, 0, 0, 0, 0, 1}, DstMAC: MAC{2, 0, 0, 0, 0, 2}}}
	tuple := Tuple{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), SrcPort: 1000, DstPort: 80, Proto: TCP}
	all := MAC{255, 255, 255, 255, 255, 255}
	tests := []struct {
		name string
		m    PacketMatch
		want bool
	}{
		{"anything", PacketMatch{}, true},
		{"port", PacketMatch{In: 7}, true},
		{"other port", PacketMatch{In: 8}, false},
		{"source MAC", PacketMatch{SrcMAC: path.SrcMAC, SrcMask: all}, true},
		{"other source MAC", PacketMatch{SrcMAC: path.DstMAC, SrcMask: all}, false},
		{"destination MAC", PacketMatch{DstMAC: path.DstMAC, DstMask: all}, true},
		{"multicast", PacketMatch{DstMAC: MAC{1}, DstMask: MAC{1}}, false},
		{"unicast", PacketMatch{DstMask: MAC{1}}, true},
		{"IPv4", PacketMatch{IPv4: true}, true},
		{"IPv6", PacketMatch{IPv6: true}, false},
		{"TCP", PacketMatch{Proto: TCP}, true},
		{"UDP", PacketMatch{Proto: UDP}, false},
		{"source", PacketMatch{Src: netip.MustParsePrefix("10.0.0.0/31")}, true},
		{"other source", PacketMatch{Src: netip.MustParsePrefix("10.0.0.2/31")}, false},
		{"destination", PacketMatch{Dst: netip.MustParsePrefix("10.0.0.2/32")}, true},
		{"other destination", PacketMatch{Dst: netip.MustParsePrefix("10.0.0.3/32")}, false},
		{"other family", PacketMatch{Src: netip.MustParsePrefix("fd00::/8")}, false},
		{"ports", PacketMatch{SrcPort: 1000, SrcPortMask: 0xffff, DstPort: 80, DstPortMask: 0xfff0}, true},
		{"other source port", PacketMatch{SrcPort: 1001, SrcPortMask: 0xffff}, false},
		{"other destination port", PacketMatch{DstPort: 64, DstPortMask: 0xfff0}, false},
	}
	for _, test := range tests {
		if got := test.m.Has(path, tuple); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
