package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// checksums makes the VFs compute what they send and verify what they get: otherwise
// two virtual devices trust each other.
func (b *bench) checksums() {
	b.Helper()
	for i, vm := range b.vms {
		b.in(vm, "ethtool", "-K", b.vf(i), "tx", "off")
	}
}

// nat makes the NIC bring VF 0 to port 9001 of VF 1 when it speaks to port 9000 of as,
// and VF 1 believe that it is spoken to by seen.
func (b *bench) nat(protocol, l4, vm0, as, seen, vm1 string) {
	b.Helper()
	header := map[string]string{"ip": "ip", "ipv6": "ip6"}[protocol]
	sums := map[string]string{"ip": "ip4h and " + l4, "ipv6": l4}[protocol]
	munge := func(words ...string) string {
		return "action pedit ex munge " + strings.Join(words, " pipe action pedit ex munge ")
	}
	b.add(0, fmt.Sprintf("pref 10 protocol %s flower skip_sw ip_proto %s src_ip %s dst_ip %s dst_port 9000 ", protocol, l4, vm0, as)+
		munge(header+" dst set "+vm1, header+" src set "+seen, l4+" dport set 9001", "eth dst set $m1")+
		" pipe action csum "+sums+" pipe action mirred egress redirect dev $r1")
	b.add(1, fmt.Sprintf("pref 10 protocol %s flower skip_sw ip_proto %s src_ip %s dst_ip %s src_port 9001 ", protocol, l4, vm1, seen)+
		munge(header+" src set "+as, header+" dst set "+vm0, l4+" sport set 9000", "eth dst set $m0")+
		" pipe action csum "+sums+" pipe action mirred egress redirect dev $r0")
}

// Addresses and ports are translated both ways. What arrives has right checksums, for
// the receivers verify them.
func TestModelNATEswsim(t *testing.T) {
	for _, c := range []struct {
		name     string
		l4       string
		protocol string
		verify   bool // without the VFs' offloads
	}{
		{"TCP", "tcp", "ip", true},
		{"UDP", "udp", "ip", true},
		{"TCP with segments", "tcp", "ip", false},
		{"TCP over IPv6", "tcp", "ipv6", true},
		{"UDP over IPv6", "udp", "ipv6", true},
		{"TCP over IPv6 with segments", "tcp", "ipv6", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name != "TCP" {
				slowly(t)
			}
			kernelQuiet(t)
			b := newBench(t, 2, "")
			if c.verify {
				b.checksums()
			}
			vm0, as, seen, vm1 := "10.0.0.1", "10.0.0.77", "10.0.0.88", "10.0.0.2"
			if c.protocol == "ipv6" {
				vm0, as, seen, vm1 = "fd00::1", "fd00::77:1", "fd00::8:88", "fd00::2"
				b.ipv6()
			}
			b.in(b.vms[0], "ip", "neigh", "add", as, "lladdr", "02:00:00:00:00:77", "dev", b.vf(0))
			b.in(b.vms[1], "ip", "neigh", "add", seen, "lladdr", "02:00:00:00:00:88", "dev", b.vf(1))
			b.nat(c.protocol, c.l4, vm0, as, seen, vm1)
			before := b.counters()
			if c.l4 == "tcp" {
				b.transfer(b.vms[0], b.vms[1], addrPort(as, 9000), 9001)
			} else {
				b.datagrams(b.vms[0], b.vms[1], addrPort(as, 9000), 9001)
			}
			if g := b.grown(before); g["hits"] == 0 || g["dropped"] != 0 {
				t.Errorf("counters: %v", g)
			}
			for _, line := range []string{"pf0vf0 prio", "pf0vf1 prio"} {
				if n, _ := b.rule(line); n == 0 {
					t.Errorf("no packets by the rule of %s:\n%s", line, b.read("rules"))
				}
			}
		})
	}
}

func addrPort(addr string, port int) string {
	if strings.Contains(addr, ":") {
		addr = "[" + addr + "]"
	}
	return fmt.Sprint(addr, ":", port)
}

// ipv6 gives the first two VFs the addresses fd00::1 and fd00::2, and no wish to find
// anybody else.
func (b *bench) ipv6() {
	b.Helper()
	for i, vm := range b.vms[:2] {
		conf := "net.ipv6.conf." + b.vf(i)
		b.in(vm, "sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=0") // without ::1, Go does not listen to IPv6
		b.in(vm, "ip", "link", "set", "lo", "up")
		b.in(vm, "sysctl", "-qw", conf+".router_solicitations=0", conf+".disable_ipv6=0")
		b.in(vm, "ip", "addr", "add", fmt.Sprintf("fd00::%d/64", i+1), "dev", b.vf(i), "nodad")
		b.in(vm, "ip", "neigh", "add", fmt.Sprintf("fd00::%d", 2-i), "lladdr", b.mac(1-i), "dev", b.vf(i), "nud", "permanent")
	}
}

// A router's work: addresses and a TTL less by one, which hardware does to a TTL of 1,
// too, unless a rule at a better preference lets the host see that packet.
func TestModelTTLEswsim(t *testing.T) {
	slowly(t)
	kernelQuiet(t)
	b := newBench(t, 2, "")
	b.checksums()
	b.ipv6()
	b.slowPath()
	const route = " action pedit ex munge %s pipe action pedit ex munge eth dst set $m1 pipe action pedit ex munge eth src set 02:00:00:00:00:99%s pipe action mirred egress redirect dev $r1"
	b.add(0, "pref 20 protocol ip flower skip_sw ip_proto icmp"+fmt.Sprintf(route, "ip ttl dec", " pipe action csum ip4h"))
	b.add(0, "pref 21 protocol ipv6 flower skip_sw ip_proto icmpv6"+fmt.Sprintf(route, "ip6 hoplimit add 255", ""))
	// what VF 1 gets, its own kernel counts by TTL
	b.in(b.vms[1], "tc", "qdisc", "add", "dev", b.vf(1), "clsact")
	for _, ttl := range []string{"0", "63"} {
		b.in(b.vms[1], "tc", "filter", "add", "dev", b.vf(1), "ingress", "pref", "1"+ttl, "protocol", "ip", "flower", "ip_ttl", ttl, "src_mac", "02:00:00:00:00:99", "action", "pass")
		b.in(b.vms[1], "tc", "filter", "add", "dev", b.vf(1), "ingress", "pref", "2"+ttl, "protocol", "ipv6", "flower", "ip_ttl", ttl, "src_mac", "02:00:00:00:00:99", "action", "pass")
	}
	seen := func(pref string) bool {
		return !strings.Contains(b.in(b.vms[1], "tc", "-s", "filter", "show", "dev", b.vf(1), "ingress", "pref", pref), "Sent 0 bytes 0 pkt")
	}
	ping := func(addr string, options ...string) error {
		_, err := b.try(b.vms[0], "", append([]string{"ping", "-q", "-W", "1", "-c", "1", addr}, options...)...)
		return err
	}
	for _, addr := range []string{"10.0.0.2", "fd00::2"} {
		if err := ping(addr); err != nil {
			t.Errorf("through a router: %v", err)
		}
	}
	if !seen("163") || !seen("263") {
		t.Error("no packet of TTL 63 arrived")
	}
	_, _ = ping("10.0.0.2", "-t", "1"), ping("fd00::2", "-t", "1")
	if !seen("10") || !seen("20") {
		t.Error("a TTL of 1 did not become 0: the guard is of no use")
	}
	b.add(0, "pref 8 protocol ip flower skip_sw ip_ttl 0/0xfe action pass")
	b.add(0, "pref 9 protocol ipv6 flower skip_sw ip_ttl 0/0xfe action pass")
	before := b.counters()
	for _, addr := range []string{"10.0.0.2", "fd00::2"} {
		if err := ping(addr, "-t", "1"); err != nil { // the slow path of this bench lets all through
			t.Errorf("a TTL of 1 with a guard: %v", err)
		}
	}
	if g := b.grown(before); g["misses"] < 4 {
		t.Errorf("with the guard: %v\n%s", g, b.read("rules"))
	}
}
