package openflow

import (
	"net/netip"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

var allOnes = flows.MAC{255, 255, 255, 255, 255, 255}

// narrowings are matches as ovs-ofctl writes them, and what they narrow to.
var narrowings = []struct {
	match  string
	nonIP  bool
	inPort uint32
	want   flows.PacketMatch
}{
	{match: "", want: flows.PacketMatch{}},
	{match: "ip", want: flows.PacketMatch{IPv4: true}},
	{match: "ipv6", want: flows.PacketMatch{IPv6: true}},
	{match: "arp", nonIP: true},
	{match: "rarp", nonIP: true},
	{match: "arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2,arp_sha=02:00:00:00:00:01,arp_tha=00:00:00:00:00:00", nonIP: true},
	{match: "dl_type=0x88cc", nonIP: true},
	{match: "dl_type=0x8100"},
	{match: "mpls,mpls_label=5"},
	{match: "dl_type=0x1234"},
	{match: "in_port=4", inPort: 4},
	{match: "in_port=LOCAL", inPort: 0xfffffffe},
	{match: "in_port=CONTROLLER", inPort: 0xfffffffd},
	{match: "dl_src=02:00:00:00:00:01", want: flows.PacketMatch{SrcMAC: flows.MAC{2, 0, 0, 0, 0, 1}, SrcMask: allOnes}},
	{match: "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00", want: flows.PacketMatch{DstMAC: flows.MAC{1}, DstMask: flows.MAC{1}}},
	{match: "dl_dst=00:00:00:00:00:00/01:00:00:00:00:00", want: flows.PacketMatch{DstMask: flows.MAC{1}}},
	{match: "dl_src=fa:16:3e:00:00:00/ff:ff:ff:00:00:00", want: flows.PacketMatch{SrcMAC: flows.MAC{0xfa, 0x16, 0x3e}, SrcMask: flows.MAC{255, 255, 255}}},
	{match: "ip,nw_src=10.1.2.3", want: flows.PacketMatch{IPv4: true, Src: netip.MustParsePrefix("10.1.2.3/32")}},
	{match: "ip,nw_dst=10.1.0.0/16", want: flows.PacketMatch{IPv4: true, Dst: netip.MustParsePrefix("10.1.0.0/16")}},
	{match: "ip,nw_dst=10.1.0.3/255.255.0.255", want: flows.PacketMatch{IPv4: true, Dst: netip.MustParsePrefix("10.1.0.0/16")}},
	{match: "ip,nw_dst=0.0.0.3/0.0.0.255", want: flows.PacketMatch{IPv4: true}},
	{match: "ipv6,ipv6_src=2001:db8::1", want: flows.PacketMatch{IPv6: true, Src: netip.MustParsePrefix("2001:db8::1/128")}},
	{match: "ipv6,ipv6_dst=2001:db8::/33", want: flows.PacketMatch{IPv6: true, Dst: netip.MustParsePrefix("2001:db8::/33")}},
	{match: "ipv6,ipv6_dst=2001:db8::1/ffff::ffff", want: flows.PacketMatch{IPv6: true, Dst: netip.MustParsePrefix("2001::/16")}},
	{match: "tcp", want: flows.PacketMatch{IPv4: true, Proto: flows.TCP}},
	{match: "udp6", want: flows.PacketMatch{IPv6: true, Proto: flows.UDP}},
	{match: "ip,nw_proto=50", want: flows.PacketMatch{IPv4: true, Proto: flows.ESP}},
	{match: "icmp,icmp_type=8,icmp_code=0", want: flows.PacketMatch{IPv4: true, Proto: flows.ICMP}},
	{match: "icmp6,icmp_type=135,nd_target=2001:db8::1", want: flows.PacketMatch{IPv6: true, Proto: flows.ICMPv6}},
	{match: "tcp,tp_src=80", want: flows.PacketMatch{IPv4: true, Proto: flows.TCP, SrcPort: 80, SrcPortMask: 0xffff}},
	{match: "tcp,tp_dst=0x1000/0xf000", want: flows.PacketMatch{IPv4: true, Proto: flows.TCP, DstPort: 0x1000, DstPortMask: 0xf000}},
	{match: "udp,tp_src=53,tp_dst=54", want: flows.PacketMatch{IPv4: true, Proto: flows.UDP, SrcPort: 53, SrcPortMask: 0xffff, DstPort: 54, DstPortMask: 0xffff}},
	{match: "tcp6,tp_dst=443", want: flows.PacketMatch{IPv6: true, Proto: flows.TCP, DstPort: 443, DstPortMask: 0xffff}},
	{match: "udp6,tp_src=443", want: flows.PacketMatch{IPv6: true, Proto: flows.UDP, SrcPort: 443, SrcPortMask: 0xffff}},
	{match: "sctp,tp_src=1,tp_dst=2", want: flows.PacketMatch{IPv4: true, Proto: flows.SCTP, SrcPort: 1, SrcPortMask: 0xffff, DstPort: 2, DstPortMask: 0xffff}},
	// what PacketMatch cannot express
	{match: "reg0=5,reg15=0x10/0xf0,metadata=7,xxreg1=1"},
	{match: "ct_state=+trk+est,ct_zone=5,ct_mark=1,ct_label=2"},
	{match: "ct_state=+trk-inv,ip,ct_nw_src=10.0.0.1", want: flows.PacketMatch{IPv4: true}},
	{match: "dl_vlan=100"},
	{match: "vlan_tci=0x1000/0x1000"},
	{match: "tun_id=5,tun_dst=192.0.2.1,tun_src=192.0.2.2"},
	{match: "tun_metadata0=1"},
	{match: "pkt_mark=1,conj_id=3"},
	{match: "ip,nw_ttl=64,nw_tos=32,nw_ecn=1,ip_frag=no", want: flows.PacketMatch{IPv4: true}},
	{match: "tcp,tcp_flags=+syn-ack", want: flows.PacketMatch{IPv4: true, Proto: flows.TCP}},
	{match: "ipv6,ipv6_label=5", want: flows.PacketMatch{IPv6: true}},
}

// TestNarrow adds a flow of each form with each encoding, and deletes it.
func TestNarrow(t *testing.T) {
	b := newBridge(t)
	b.ofctl("add-tlv-map", "br0", "{class=0xffff,type=0,len=4}->tun_metadata0")
	for _, v := range []Version{OpenFlow10, OpenFlow12, OpenFlow13, OpenFlow15} {
		t.Run(v.String(), func(t *testing.T) {
			r, _ := start(t, Config{Socket: b.socket(), offer: 1 << v})
			r.watching(t)
			for _, n := range narrowings {
				b.ofctl("add-flow", "br0", "table=1,priority=5,"+n.match+",actions=drop")
				want := Change{Kind: FlowAdded, Table: 1, Priority: 5, NonIP: n.nonIP, InPort: n.inPort, Match: n.want}
				if got := r.change(t); got != want {
					t.Errorf("%s:\n%+v, want\n%+v", n.match, got, want)
				}
				b.ofctl("del-flows", "br0", "table=1")
				want.Kind = FlowDeleted
				if got := r.change(t); got != want {
					t.Errorf("%s deleted:\n%+v, want\n%+v", n.match, got, want)
				}
			}
		})
	}
}
