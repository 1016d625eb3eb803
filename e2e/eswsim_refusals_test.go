package e2e

import (
	"strings"
	"testing"
)

// What the model cannot do it refuses, and says so in words.
func TestModelRefusalsEswsim(t *testing.T) {
	b := newBench(t, 2, "uplinks=2")
	other := newBench(t, 1, "")
	other.in(other.host, "ip", "link", "set", other.rep(0), "netns", b.host)
	b.underlay("192.0.2.1/24")
	b.tunnel("vxlan", "vx", "dstport 4789")
	b.tunnel("geneve", "gnv", "dstport 6081")
	b.in(b.host, "ip", "link", "add", "classic", "type", "vxlan", "id", "7", "remote", "192.0.2.2", "dstport", "4790")
	b.in(b.host, "ip", "link", "add", "rr", "type", "bond", "mode", "balance-rr")
	b.in(b.host, "ip", "link", "set", b.uplink(1), "down")
	b.in(b.host, "ip", "link", "set", b.uplink(1), "master", "rr")
	const (
		to    = " action mirred egress redirect dev $r1"
		tcp   = "protocol ip flower skip_sw ip_proto tcp action pedit ex munge "
		set   = "protocol ip flower skip_sw action tunnel_key set id 7 dst_port 6081 src_ip 192.0.2.1 dst_ip "
		unset = " action tunnel_key unset pipe"
	)
	for _, c := range []struct{ dev, filter, want string }{
		{b.rep(0), "protocol ip flower skip_sw ip_proto icmp type 8" + to, "cannot match icmp"},
		{b.rep(0), "protocol ip flower skip_sw ip_proto udp dst_port 80-90" + to, "cannot match port range"},
		{b.rep(0), "protocol ip flower skip_sw ct_state +trk+est" + to, "cannot match conntrack state"},
		{b.rep(0), "protocol ip flower skip_sw enc_key_id 7" + to, "cannot match a tunnel but on the tunnel's own device"},
		{b.rep(0), "protocol arp flower skip_sw arp_op reply" + to, "cannot match arp"},
		{b.rep(0), "protocol mpls_uc flower skip_sw mpls_label 3" + to, "cannot match mpls"},
		{b.rep(0), "chain 1 protocol ip flower skip_sw" + to, "only offload of chain 0"},
		{b.rep(0), "protocol ip flower skip_sw", "cannot do without an action"},
		{b.rep(0), "protocol ip flower skip_sw action ct zone 1 pipe" + to, "cannot do action ct"},
		{b.rep(0), "protocol ip flower skip_sw action police rate 1mbit burst 10k conform-exceed drop/pipe" + to, "cannot do action police"},
		{b.rep(0), "protocol ip flower skip_sw action goto chain 2", "cannot do action goto chain"},
		{b.rep(0), "protocol ip flower skip_sw action mirred ingress redirect dev $r1", "cannot do action ingress redirect"},
		{b.rep(0), "protocol ip flower skip_sw action mirred egress mirror dev $r1", "cannot mirror or rewrite without a redirect"},
		{b.rep(0), "protocol ip flower skip_sw action vlan push id 3", "cannot mirror or rewrite without a redirect"},
		{b.rep(0), "protocol ip flower skip_sw action vlan push id 3 pipe action pass", "cannot rewrite and then drop or pass"},
		{b.rep(0), "protocol ip flower skip_sw action mirred egress redirect dev lo", "cannot forward to lo, no port of eswitch " + b.nic},
		{b.rep(0), "protocol ip flower skip_sw action mirred egress redirect dev " + other.rep(0), "cannot forward to " + other.rep(0)},
		{b.rep(0), "protocol ip flower skip_sw action mirred egress redirect dev rr", "cannot forward to bond rr of mode 0"},
		{b.rep(0), "protocol ip flower skip_sw action mirred egress redirect dev $r1 hw_stats immediate", "selected HW stats type"},
		{b.rep(0), "protocol all matchall skip_sw" + to, ""},

		{b.rep(0), tcp + "ip ttl set 63 pipe" + to, "cannot forward before action csum has mended the sums (0x1)"},
		{b.rep(0), tcp + "ip src set 10.0.0.9 pipe action csum ip4h pipe" + to, "mended the sums (0x8)"},
		{b.rep(0), tcp + "tcp sport set 9 pipe action csum ip4h pipe" + to, "mended the sums (0x8)"},
		{b.rep(0), tcp + "udp sport set 9 pipe action csum udp pipe" + to, "cannot rewrite udp without matching it"},
		{b.rep(0), tcp + "ip6 hoplimit set 9 pipe" + to, "cannot rewrite ipv6 without matching it"},
		{b.rep(0), "protocol all flower skip_sw action pedit ex munge ip ttl set 9 pipe action csum ip4h pipe" + to, "cannot rewrite ip without matching it"},
		{b.rep(0), tcp + "ip protocol set 17 pipe action csum ip4h pipe" + to, "cannot rewrite bits 0xff0000 at 8"},
		{b.rep(0), tcp + "offset 8 u8 set 9 pipe" + to, "cannot rewrite bits"},
		{b.rep(0), tcp + "tcp dport add 1 pipe action csum tcp pipe" + to, "cannot add to anything but a TTL"},
		{b.rep(0), tcp + "ip ttl set 9 pipe action csum ip4h and sctp pipe" + to, "cannot do action csum 0x40"},

		{b.rep(0), "protocol ip flower skip_sw" + unset + to, "cannot do action tunnel_key unset but on a tunnel's device"},
		{b.rep(0), set + "192.0.2.2 pipe" + to, "cannot send to " + b.rep(1) + " after tunnel_key set"},
		{b.rep(0), set + "192.0.2.2 pipe action mirred egress redirect dev classic", "cannot send to classic after tunnel_key set"},
		{b.rep(0), set + "192.0.2.2 pipe action vlan push id 3 pipe action mirred egress redirect dev gnv", "anything but redirect after tunnel_key set"},
		{b.rep(0), set + "192.0.2.2 geneve_opts 1:2:00112233 pipe action mirred egress redirect dev vx", "cannot set options of vxlan"},
		{b.rep(0), set + "192.0.2.2 geneve_opts 1:2:" + strings.Repeat("00", 64) + " pipe action mirred egress redirect dev gnv", "more than 64 bytes of tunnel options"},
		{b.rep(0), set + "198.51.100.1 pipe action mirred egress redirect dev gnv", "no route to 198.51.100.1"},
		{b.rep(0), set + "192.0.2.1 pipe action mirred egress redirect dev gnv", "route leaves by lo, no uplink of eswitch " + b.nic},
		{b.rep(0), set + "192.0.2.2 pipe action mirred egress redirect dev gnv", "no neighbour is known on the way to 192.0.2.2"},
		{b.rep(0), "protocol ip flower skip_sw action mirred egress redirect dev gnv", "cannot forward to gnv"},
		{"gnv", "protocol ip flower verbose enc_key_id 7" + to, "cannot use what came by a tunnel before tunnel_key unset"},
		{"gnv", "protocol ip flower verbose" + unset + unset + to, "and once"},
		{"vx", "protocol ip flower verbose enc_key_id 7 geneve_opts 1:2:00112233" + unset + to, "cannot match options of another tunnel than geneve"},
		{"classic", "protocol ip flower skip_sw" + unset + to, ""},
		{"gnv", "protocol ip flower skip_sw" + unset + to, ""}, // by the kernel: see addAt
	} {
		err := b.tcAt(c.dev, "pref 10 "+c.filter)
		if err == nil {
			t.Errorf("not refused at %s: %s", c.dev, c.filter)
			b.in(b.host, "tc", "filter", "del", "dev", c.dev, "ingress", "pref", "10")
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.filter, err, c.want)
		}
	}
	if c := b.counters(); c["rules"] != 0 || c["refused"] == 0 {
		t.Errorf("counters: %v", c)
	}
}
