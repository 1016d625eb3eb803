package e2e

import (
	"strings"
	"testing"
)

// Each match, with traffic that it means and traffic that it does not: the rule counts
// how many of the packets from VF 0 to VF 1 it took.
func TestModelMatchesEswsim(t *testing.T) {
	slowly(t)
	b := newBench(t, 2, "")
	b.slowPath()
	b.in(b.vms[1], "ip", "addr", "add", "10.0.1.2/32", "dev", b.vf(1))
	for i, vm := range b.vms {
		conf := "net.ipv6.conf." + b.vf(i)
		b.in(vm, "sysctl", "-qw", conf+".router_solicitations=0", conf+".disable_ipv6=0")
		b.in(vm, "ip", "addr", "add", "fd00::"+string(rune('1'+i))+"/64", "dev", b.vf(i), "nodad")
		b.in(vm, "ip", "neigh", "add", "fd00::"+string(rune('2'-i)), "lladdr", b.mac(1-i), "dev", b.vf(i), "nud", "permanent")
		b.in(vm, "ip", "link", "add", "link", b.vf(i), "name", "tagged", "type", "vlan", "id", "5")
		b.in(vm, "ip", "addr", "add", "10.0.5."+string(rune('1'+i))+"/24", "dev", "tagged")
		b.in(vm, "ip", "link", "set", "tagged", "up")
	}
	const (
		ping   = "ping -q -c 1 -W 1 10.0.0.2"
		tagged = "ping -q -c 1 -W 1 10.0.5.2"
		ping6  = "ping -q -c 1 -W 1 fd00::2"
		big    = "ping -q -c 1 -W 1 -M dont -s 4000 10.0.0.2" // three fragments
		tcp81  = "timeout 3 bash -c >/dev/tcp/10.0.0.2/81"    // SYN, answered by RST
		udp    = "bash -c echo>/dev/udp/10.0.0.2/"
	)
	b.in(b.vms[0], "sh", "-c", ping6+"; "+tagged+"; :") // neighbours are known then
	for _, c := range []struct {
		match, traffic string
		packets        uint64
	}{
		{"protocol all flower dst_mac $m1", ping, 1}, // not what the kernel tells all its neighbours
		{"protocol all flower dst_mac $m1", ping6, 1},
		{"protocol all flower dst_mac $m1", tagged, 0}, // nothing said of VLANs: untagged
		{"protocol ip flower", ping, 1},
		{"protocol ip flower", ping6, 0},
		{"protocol ip flower src_mac $m0 dst_mac $m1", ping, 1},
		{"protocol ip flower src_mac $m1", ping, 0},
		{"protocol ip flower dst_mac $m1/ff:ff:ff:00:00:00", ping, 1},
		{"protocol ip flower ip_proto icmp", ping, 1},
		{"protocol ip flower ip_proto udp", ping, 0},
		{"protocol ip flower src_ip 10.0.0.1 dst_ip 10.0.0.2", ping, 1},
		{"protocol ip flower dst_ip 10.0.0.3", ping, 0},
		{"protocol ip flower dst_ip 10.0.0.0/29", ping, 1},
		{"protocol ip flower dst_ip 10.0.0.8/29", ping, 0},
		{"protocol ip flower ip_ttl 64", ping, 1},
		{"protocol ip flower ip_ttl 63", ping, 0},
		{"protocol ip flower ip_ttl 0/0xfe", ping, 0},
		{"protocol ip flower ip_ttl 0/0xfe", ping + " -t 1", 1},
		{"protocol ip flower ip_tos 0x10", ping + " -Q 0x10", 1},
		{"protocol ip flower ip_tos 0x10", ping, 0},
		{"protocol ip flower ip_flags nofrag", ping, 1},
		{"protocol ip flower ip_flags nofrag", big, 0},
		{"protocol ip flower ip_flags frag", big, 3},
		{"protocol ip flower ip_flags frag/firstfrag", big, 1},
		{"protocol ip flower ip_flags frag/nofirstfrag", big, 2},
		{"protocol ip flower ip_proto icmp ip_flags frag", ping, 0},
		{"protocol ip flower ip_proto tcp dst_port 81", tcp81, 1},
		{"protocol ip flower ip_proto tcp dst_port 82", tcp81, 0},
		{"protocol ip flower ip_proto tcp src_port 81", tcp81, 0},
		{"protocol ip flower ip_proto tcp dst_port 80/0xfffe", tcp81, 1},
		{"protocol ip flower ip_proto tcp dst_port 82/0xfffe", tcp81, 0},
		{"protocol ip flower ip_proto udp dst_port 81", tcp81, 0},
		{"protocol ip flower ip_proto udp dst_port 5353", udp + "5353", 1},
		{"protocol ip flower ip_proto tcp tcp_flags 0x2/0x7", tcp81, 1},
		{"protocol ip flower ip_proto tcp tcp_flags 0x0/0x7", tcp81, 0},
		{"protocol ipv6 flower src_ip fd00::1 dst_ip fd00::2 ip_proto icmpv6", ping6, 1},
		{"protocol ipv6 flower dst_ip fd00::/64", ping6, 1},
		{"protocol ipv6 flower dst_ip fd00::3", ping6, 0},
		{"protocol ipv6 flower ip_ttl 64", ping6, 1},
		{"protocol 802.1q flower vlan_id 5 vlan_ethtype ipv4 dst_ip 10.0.5.2", tagged, 1},
		{"protocol 802.1q flower vlan_id 6", tagged, 0},
		{"protocol 802.1q flower vlan_id 5", ping, 0},
	} {
		b.add(0, "pref 10 "+strings.Replace(c.match, "flower", "flower skip_sw", 1)+" action mirred egress redirect dev $r1")
		args := strings.Fields(c.traffic)
		if at := strings.Index(c.traffic, "-c >"); at > 0 {
			args = append(strings.Fields(c.traffic[:at]), "-c", c.traffic[at+3:])
		} else if at := strings.Index(c.traffic, "-c echo"); at > 0 {
			args = append(strings.Fields(c.traffic[:at]), "-c", strings.Replace(c.traffic[at+3:], "echo", "echo hello", 1))
		}
		if _, err := b.try(b.vms[0], "", args...); err != nil && args[0] == "ping" {
			t.Errorf("%s: %v", c.match, err) // by one path or the other
		}
		if got, _ := b.rule("prio=10 "); got != c.packets {
			t.Errorf("%s took %d packets of: %s, want %d\n%s", c.match, got, c.traffic, c.packets, b.read("rules"))
		}
		b.remove(0, 10)
	}
}
