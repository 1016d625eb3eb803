package ovn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

var testWorld = &world{
	groups: map[string][]string{"pg": {"a", "b"}, "pg2": {"b", "c"}, "none": nil},
	sets: map[string][]netip.Prefix{
		"four":  {netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.1.0/24")},
		"four2": {netip.MustParsePrefix("10.0.0.0/24")},
		"six":   {netip.MustParsePrefix("fd00::1/128"), netip.MustParsePrefix("fd00::2:0/112")},
		"empty": nil,
	},
}

// understoodWholly are matches of which nothing may be left in doubt.
var understoodWholly = []string{
	// As Neutron writes them.
	`outport == @pg && ip4 && ip4.src == 0.0.0.0/0 && tcp && tcp.dst >= 80 && tcp.dst <= 90`,
	`outport == @pg && ip4 && ip4.src == $four && tcp && tcp.dst == 80`,
	`outport == @pg && ip4 && ip4.src == 10.0.0.0/24 && udp`,
	`outport == @pg && ip4 && icmp4 && icmp4.type == 8 && icmp4.code == 0`,
	`outport == @pg && ip6 && icmp6`,
	`outport == @pg && ip4 && ip.proto == 47`,
	`inport == @pg && ip4`,
	`inport == "a" && ip`,
	`reg0[8] == 1 && (outport == @pg && ip6 && ip6.src == $six)`,
	`reg0[7] == 1 && (outport == @pg && ip6)`,
	// As northd writes its own.
	`ct.est && !ct.rel && !ct.new && !ct.inv && ct.rpl && ct_mark.blocked == 0`,
	`ct.inv || (ct.est && ct.rpl && ct_mark.blocked == 1)`,
	`!ct.est && ct.rel && !ct.new && !ct.inv && ct_label.blocked == 0`,
	`ip && !ct.est`,
	`1`,
	`0`,
	`nd || nd_ra || nd_rs || mldv1 || mldv2`,
	// As ovn-kubernetes does.
	`(ip4.src == $four || ip6.src == $six) && inport == @pg`,
	`((ip4.dst == 10.0.0.0/24 && ip4.dst != {10.0.0.1/32})) && tcp && ( (tcp.dst>=80 && tcp.dst<=90) || tcp.dst==443 ) && outport == @pg`,
	`outport == @pg && (arp || nd)`,
	// By hand.
	`tcp.dst == {22, 80, 443} || udp.dst != 53`,
	`80 <= tcp.dst <= 90`,
	`90 > tcp.dst > 80 && ip6`,
	`tcp.dst < 1 || tcp.dst > 65535`,
	`!(tcp.dst == 80 || ip4.src == 10.0.0.1)`,
	`!(ip4.src == 10.0.0.0/24 && udp.src >= 1024)`,
	`ip4.src != {10.0.0.0/24, 10.0.1.0/255.255.255.0}`,
	`ip4.src != $four && ip4.dst != {$four2, 10.0.1.1}`,
	`ip4.src == {$four, 10.0.3.0/24, $four2}`,
	`ip4.src == $four && ip4.src == $four2`,
	`ip4.src == $four && ip4.src != 10.0.1.1`,
	`ip4.src == {$four, 10.0.3.1} && ip4.src != $four2`,
	`ip4.src == $empty || ip6.dst != $empty`,
	`ip4.src == 0.0.0.0/0 && ip4.src == $four`,
	`ip4.src > 10.0.0.200 && ip4.src <= 10.0.1.77`,
	`ip6.src < fd00::2 || fd00::2:8 <= ip6.src`,
	`ip4.dst[24..31] == 10 && ip4.dst[16..31] != 0x0a01`,
	`ip4.src == 0xa000001 || ip4.src == 167772418`,
	`ip.proto == {6, 17} && eth.type == {0x800, 0x86dd}`,
	`tcp.dst == 0x50/0xfff8`,
	`(tcp.dst != 0 && tcp.src != 65535) || udp.dst != 65535`,
	`ip4.src != 0.0.0.0/1 || ip6.dst != 8000::/1`,
	`tcp && udp`,
	`ip4 && icmp6`,
	`icmp || sctp`,
	`icmp4.type == 8 || icmp6.type == {128, 129}`,
	`(ip4 && (tcp || (udp && (udp.dst == 53)))) || (ip6)`,
	`inport == {"a", "c"} && tcp`,
	`(inport == "a" && tcp) || (inport == @pg2 && udp)`,
	`inport == "a" && inport == "b"`,
	`inport == @none`,
	`!ip.is_frag && ip.frag == 0`,
	`eth.dst == $svc_monitor_mac`,
	"ip4 /* any */ && // and more\n tcp",
}

func randomPacket(r *rand.Rand) packet {
	p := packet{
		direction: flows.Direction(r.IntN(2)), port: string("abc"[r.IntN(3)]),
		proto: []flows.Proto{flows.ICMP, flows.TCP, flows.UDP, flows.ICMPv6, flows.GRE, flows.SCTP}[r.IntN(6)],
	}
	numbers := []uint16{0, 1, 8, 22, 53, 79, 80, 81, 85, 90, 91, 128, 129, 135, 443, 1023, 1024, 65535}
	p.sport, p.dport = numbers[r.IntN(len(numbers))], numbers[r.IntN(len(numbers))]
	if p.proto == flows.ICMP || p.proto == flows.ICMPv6 {
		p.sport, p.dport = p.sport&0xff, p.dport&1
	}
	four := []string{"10.0.0.0", "10.0.0.1", "10.0.0.200", "10.0.0.201", "10.0.0.255", "10.0.1.1", "10.0.1.2", "10.0.1.77", "10.0.1.78", "10.0.3.1", "10.1.0.1", "192.0.2.1", "255.255.255.255", "0.0.0.0"}
	six := []string{"::", "fd00::1", "fd00::2", "fd00::1:ffff", "fd00::2:0", "fd00::2:7", "fd00::2:8", "fd00::3:0", "fe80::1", "ff02::16", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
	from := four
	if r.IntN(2) == 0 {
		from = six
	}
	p.src, p.dst = netip.MustParseAddr(from[r.IntN(len(from))]), netip.MustParseAddr(from[r.IntN(len(from))])
	return p
}

// TestUnderstand compares what matches are understood as with what they say, packet by packet.
func TestUnderstand(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, match := range understoodWholly {
		if err := agrees(r, match, 2000); err != nil {
			t.Error(err)
		}
	}
}

// agrees tries packets of the directions in which the match can know the instance's port.
func agrees(r *rand.Rand, match string, packets int) error {
	e, err := parse(match)
	if err != nil {
		return fmt.Errorf("%s: %w", match, err)
	}
	u := [2]understood{understand(match, flows.Egress, testWorld), understand(match, flows.Ingress, testWorld)}
	for range packets {
		p := randomPacket(r)
		if other := [2]string{"outport", "inport"}[p.direction]; strings.Contains(match, other) {
			continue
		}
		want := testWorld.holds(e, &p)
		if sure, doubt := testWorld.fits(&u[p.direction], &p); sure != want || doubt {
			return fmt.Errorf("%s\n%+v: %v, in doubt %v; want %v\n%+v", match, p, sure, doubt, want, u[p.direction])
		}
	}
	return nil
}

// randomMatch writes a match of what OVN allows.
func randomMatch(r *rand.Rand, depth int) string {
	if depth > 0 && r.IntN(3) > 0 {
		sign := []string{" && ", " || "}[r.IntN(2)]
		text := "(" + randomMatch(r, depth-1)
		for range 1 + r.IntN(2) {
			text += sign + randomMatch(r, depth-1)
		}
		return text + ")"
	}
	atoms := []string{
		"ip4", "ip6", "tcp", "udp", "icmp", "icmp4.type == 8", "ip.proto == {6, 17, 47}",
		"tcp.dst == {22, 80}", "!(tcp.dst == 80)", "udp.dst != {53, 443}", "tcp.src <= 90", "80 <= tcp.dst < 91",
		"ip4.src == 10.0.0.0/24", "ip4.src != {10.0.0.1, 10.0.1.0/24}", "ip4.dst == $four", "ip4.src != $four2",
		"!(ip4.dst == {$four2, 10.0.1.77})", "ip6.src == $six", "ip6.dst != {$six, fe80::/10}", "ip6.src > fd00::2",
		"ip4.src == $empty", "ip4.src != $empty", "ct.est", "!ct.est", "1", "0",
		`inport == "a"`, `inport == @pg`, `inport == {"a", "b"}`,
	}
	return atoms[r.IntN(len(atoms))]
}

// TestUnderstandRandom does the same with random matches. What has two conditions on the
// port may be left in doubt, but must stand for no less than it says.
func TestUnderstandRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		match := randomMatch(r, 3)
		if strings.Count(match, "inport") < 2 {
			if err := agrees(r, match, 40); err != nil {
				t.Fatal(err)
			}
			continue
		}
		e, err := parse(match)
		if err != nil {
			t.Fatal(match, err)
		}
		u := understand(match, flows.Egress, testWorld)
		for range 40 {
			p := randomPacket(r)
			p.direction = flows.Egress
			want := testWorld.holds(e, &p)
			if sure, doubt := testWorld.fits(&u, &p); sure && !want || want && !sure && !doubt {
				t.Fatalf("%s\n%+v: %v, in doubt %v; want %v\n%+v", match, p, sure, doubt, want, u)
			}
		}
	}
}

// TestDoubt looks at what is not understood: it must not be passed over, and whose ports it
// concerns stays known as far as it can.
func TestDoubt(t *testing.T) {
	for match, port := range map[string]portRef{
		`inport == @pg && ip.dscp == 3`:                    {"pg", true},
		`inport == "a" && eth.src == 00:00:00:00:00:01`:    {"a", false},
		`inport == @pg && eth.mcast`:                       {"pg", true},
		`inport == @pg && reg1 == 5`:                       {"pg", true},
		`inport == @pg && vlan.vid == 5`:                   {"pg", true},
		`inport == @pg && newfield.of == 5`:                {"pg", true},
		`inport == @pg && is_chassis_resident("x")`:        {"pg", true},
		`inport == @pg && tcp.dst == 0x1/0x1`:              {"pg", true},
		`inport == @pg && ip4.src == 10.0.0.1/255.0.0.255`: {"pg", true},
		`inport == @pg && ip4.src[0..7] == 1`:              {"pg", true},
		`outport == "b" && ip4`:                            {},
		`eth.dst == 00:00:00:00:00:01`:                     {},
	} {
		u := understand(match, flows.Egress, testWorld)
		if len(u.parts) != 1 || !u.parts[0].doubt || u.parts[0].port != port || u.refused {
			t.Errorf("%s: %+v, want doubt at %+v", match, u, port)
		}
	}
}

// TestRefused has matches that OVN refuses, with what ovn-trace 23.03 says of them.
func TestRefused(t *testing.T) {
	for _, match := range []string{
		"!ip4", "!tcp", "tcp == 0", "ip.proto != 6", "!(ip.proto == 6)", // may only be tested positively
		"icmp4.type > 3", "ip.ttl > 3", // only == and != with nominal fields
		"icmp4.type != 3", `inport != "a"`, `!(inport == "a")`, "!nd", "!(ip4 && tcp)", "!(!(ip.proto != 6))",
		"tcp.dst",                       // explicit != 0 is required
		"ip4 && tcp || udp",             // must be parenthesized
		`tcp.dst == "x"`, "inport == 5", // is not compatible with
		"ip4.src == ::1", "tcp.dst == 65536", // is wider
		"tcp.dst < {1, 2}", "ip4.src < 10.0.0.0/8", // only == and != with sets and masks
		"!ip4.src == 10.0.0.1",                 // parentheses around the operand of !
		"1 < tcp.dst > 3", "1 == tcp.dst == 1", // range expressions
		"tcp.dst == {}", "tcp.dst ==", "(ip4", "ip4)", "ip4 &", "ip4 ip4", "", "2", "tcp.dst[20] == 1",
		"ip4.src == 10.0.0.1/::1", "ip4.src == 10.0.0.300", "ip4.src == $", `inport == "a`, "/* ip4", "tcp.dst = 80",
	} {
		if _, err := parse(match); !isRefused(err) {
			t.Errorf("%s: %v", match, err)
		}
	}
}

// TestBounds has matches that come to too much.
func TestBounds(t *testing.T) {
	ports := "tcp.dst == {1"
	for i := range 3000 {
		ports += fmt.Sprintf(", %d", 2*i+3)
	}
	operand := " && (tcp" + strings.Repeat(" || udp", 15) + ")"
	for name, match := range map[string]string{
		"work":        strings.Replace(ports, "1, ", "", 1) + "}" + strings.Repeat(operand, (maxMatch-len(ports))/len(operand)),
		"terms":       ports + "} && " + strings.Replace(ports, "dst", "src", 1) + "}",
		"parentheses": strings.Repeat("(", 1000) + "ip4" + strings.Repeat(")", 1000),
		"length":      strings.Repeat(" ", maxMatch) + "ip4",
		"values":      "tcp.dst == {" + strings.Repeat("1,", maxValues) + "1}",
	} {
		start := time.Now()
		u := understand(match, flows.Egress, testWorld)
		if len(u.parts) != 1 || !u.parts[0].doubt || u.refused || !errors.Is(u.err, errTerms) && !errors.Is(u.err, errBounds) {
			t.Errorf("%s: %v, %d parts", name, u.err, len(u.parts))
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}
