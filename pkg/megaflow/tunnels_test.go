package megaflow

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// arrival is a flow of packets that come in at port 7 in a tunnel.
func arrival(src, dst string, id uint64, more func(*Match)) Flow {
	m := match(map[Field]uint64{RecircID: 0, InPort: 7})
	m.SetUint(TunID, id, ^uint64(0))
	for f, text := range map[Field]string{TunSrc: src, TunDst: dst} {
		addr := netip.MustParseAddr(text)
		mask := netip.MustParseAddr("255.255.255.255")
		if addr.Is6() {
			mask = netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
		}
		m.SetWide(f, wide(addr), wide(mask))
	}
	if more != nil {
		more(&m)
	}
	return Flow{Match: m, Actions: []Action{CT{Zone: 1}, Recirc{1}}}
}

func TestTunnels(t *testing.T) {
	p := tcpPacket()
	want := flows.Tunnel{Src: netip.MustParseAddr("192.0.2.2"), Dst: netip.MustParseAddr("192.0.2.1"), ID: 5}
	six := flows.Tunnel{Src: netip.MustParseAddr("2001:db8::2"), Dst: netip.MustParseAddr("2001:db8::1"), ID: 5}
	options := want
	options.Options = "\x01\x02\x80\x01\x00\x03\x00\x02"
	four := arrival("192.0.2.2", "192.0.2.1", 5, nil)
	for _, test := range []struct {
		name string
		flow Flow
		want []flows.Tunnel
	}{
		{"IPv4", four, []flows.Tunnel{want}},
		{"IPv6", arrival("2001:db8::2", "2001:db8::1", 5, nil), []flows.Tunnel{six}},
		{"options", arrival("192.0.2.2", "192.0.2.1", 5, func(m *Match) {
			m.SetOptions(options.Options, "\xff\xff\xff\x1f\x7f\xff\xff\xff")
		}), []flows.Tunnel{options}},
		{"of another station", arrival("192.0.2.2", "192.0.2.1", 5, func(m *Match) { m.SetUint(EthSrc, 9, 1<<48-1) }), nil},
		{"of a set of tunnels", arrival("192.0.2.2", "192.0.2.1", 5, func(m *Match) { m.SetUint(TunID, 4, 0xfe) }), nil},
		{"from a set of ends", arrival("192.0.2.2", "192.0.2.1", 5, func(m *Match) { m.SetWide(TunSrc, [16]byte{}, [16]byte{15: 0xf0}) }), nil},
		{"in no tunnel", Flow{Match: match(map[Field]uint64{RecircID: 0, InPort: 7})}, nil},
		{"at another port", arrival("192.0.2.2", "192.0.2.1", 5, func(m *Match) { m.SetUint(InPort, 8, 1<<32-1) }), nil},
	} {
		got := NewTable([]Flow{test.flow, test.flow}).Tunnels(p)
		if len(got) != len(test.want) || len(got) > 0 && got[0] != test.want[0] {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
	if got := NewTable([]Flow{four, arrival("192.0.2.3", "192.0.2.1", 5, nil)}).Tunnels(p); len(got) != 2 {
		t.Errorf("from two hosts: %+v", got)
	}
}

// What a flow tells that has had no packet for a while may be over.
func TestTunnelsMove(t *testing.T) {
	idle := func(src string, d time.Duration) Flow {
		f := arrival(src, "192.0.2.1", 5, nil)
		f.Idle = d
		return f
	}
	const a, b = "192.0.2.2", "192.0.2.3"
	for _, test := range []struct {
		name string
		a, b time.Duration // since the last packet from either host
		want []string
	}{
		{"both in use", 0, inUse, []string{a, b}},
		{"moved", inUse + 1, inUse / 2, []string{b}},
		{"moved back", inUse / 2, inUse + 1, []string{a}},
		{"silent", 2 * inUse, 3 * inUse, nil},
	} {
		var got []string
		for _, tunnel := range NewTable([]Flow{idle(a, test.a), idle(b, test.b)}).Tunnels(tcpPacket()) {
			got = append(got, tunnel.Src.String())
		}
		if slices.Sort(got); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
