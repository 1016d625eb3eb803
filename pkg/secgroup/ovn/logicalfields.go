package ovn

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// The packet that is judged is one of an established connection in its original direction
// that is not blocked, and not a fragment: all others stay in the slow path. Its place in
// the pipeline is where the stage of ACLs begins. The symbols are those of ovn_init_symtab
// in OVN's lib/logical-fields.c.

// What northd's stage ls_in_acl_hint and ls_out_acl_hint says of such a packet, in reg0
// (northd/northd.c, REGBIT_ACL_HINT_*, the same from 20.12 on).
const (
	hintAllowNew   = 1 << 7
	hintAllow      = 1 << 8
	hintDrop       = 1 << 9
	hintBlock      = 1 << 10
	aclStateless   = 1 << 16
	hintAllowRel   = 1 << 17
	hints          = hintAllowNew | hintAllow | hintDrop | hintBlock
	tierBit        = 30 // REG_ACL_TIER is reg8[30..31], from 23.06 on
	tierBits       = 2
	markBlocked    = 1 << 0
	markKeepsAlive = 1 << 6 // ct_mark.allow_established: an ACL that is gone, from 25.03 on
)

func (t symbolTable) addRegisters() {
	for i := range 10 {
		t.opaque(false, 32, fmt.Sprintf("reg%d", i))
	}
	for i := range 5 {
		t.opaque(false, 64, fmt.Sprintf("xreg%d", i))
	}
	t.opaque(false, 128, "xxreg0", "xxreg1")
	t.fix("reg0", 32, hints|aclStateless|hintAllowRel, hintAllow|hintBlock)
	t.add(symbol{name: "reg8", width: 32, meaning: tierOf})
	t.opaque(false, 32, "flags", "pkt.mark")
	t.opaque(false, 1, "flags.loopback")
}

func (t symbolTable) addState() {
	for name, value := range map[string]uint64{"trk": 1, "est": 1, "new": 0, "rel": 0, "rpl": 0, "inv": 0} {
		t.fix("ct."+name, 1, 1, value)
	}
	t.opaque(false, 1, "ct.dnat", "ct.snat", "ct_mark.natted", "ct_label.natted")
	t.opaque(false, 32, "ct_state")
	t.fix("ct_mark", 32, markBlocked|markKeepsAlive, 0)
	t.fix("ct_label", 128, markBlocked, 0)
	t.fix("ct_mark.blocked", 1, 1, 0)
	t.fix("ct_label.blocked", 1, 1, 0)
	t.fix("ct_mark.allow_established", 1, 1, 0)
}

func (t symbolTable) addEthernet() {
	t.add(symbol{name: "eth.src", width: 48, meaning: virtualMAC})
	t.add(symbol{name: "eth.dst", width: 48, meaning: virtualMAC})
	t.add(symbol{name: "eth.type", width: 16, nominal: true, meaning: etherType})
	t.opaque(false, 1, "eth.bcast", "eth.mcast", "eth.mcastv6", "vlan.present")
	t.opaque(false, 16, "vlan.tci")
	t.opaque(false, 3, "vlan.pcp")
	t.opaque(false, 12, "vlan.vid")
	t.define(true, "arp", "eth.type == 0x806")
	t.define(true, "rarp", "eth.type == 0x8035")
}

func (t symbolTable) addIP() {
	t.define(true, "ip4", "eth.type == 0x800")
	t.define(true, "ip6", "eth.type == 0x86dd")
	t.define(true, "ip", "1") // ip4 || ip6
	t.add(symbol{name: "ip.proto", width: 8, nominal: true, meaning: ipProto})
	t.opaque(true, 6, "ip.dscp")
	t.opaque(true, 2, "ip.ecn")
	t.opaque(true, 8, "ip.ttl")
	t.opaque(false, 20, "ip6.label")
	t.fix("ip.frag", 2, 3, 0)
	t.fix("ip.is_frag", 1, 1, 0)
	t.fix("ip.later_frag", 1, 1, 0)
	t.fix("ip.first_frag", 1, 1, 0)
	t.add(symbol{name: "ip4.src", width: 32, meaning: srcAddr, family: secgroup.IPv4})
	t.add(symbol{name: "ip4.dst", width: 32, meaning: dstAddr, family: secgroup.IPv4})
	t.add(symbol{name: "ip6.src", width: 128, meaning: srcAddr, family: secgroup.IPv6})
	t.add(symbol{name: "ip6.dst", width: 128, meaning: dstAddr, family: secgroup.IPv6})
	t.define(false, "ip4.src_mcast", "ip4.src[28..31] == 0xe")
	t.define(false, "ip4.mcast", "eth.mcast && ip4.dst[28..31] == 0xe")
	t.define(false, "ip6.mcast", "eth.mcastv6 && ip6.dst[120..127] == 0xff")
}

func (t symbolTable) addICMP() {
	t.define(true, "icmp4", "ip4 && ip.proto == 1")
	t.define(true, "icmp6", "ip6 && ip.proto == 58")
	t.define(true, "icmp", "icmp4 || icmp6")
	t.define(true, "igmp", "ip4 && ip.proto == 2")
	t.layer4("icmp4.type", 8, true, srcPort, secgroup.IPv4, flows.ICMP)
	t.layer4("icmp4.code", 8, true, dstPort, secgroup.IPv4, flows.ICMP)
	t.layer4("icmp6.type", 8, true, srcPort, secgroup.IPv6, flows.ICMPv6)
	t.layer4("icmp6.code", 8, true, dstPort, secgroup.IPv6, flows.ICMPv6)
	// OVN tests ip.ttl == 255 in the first five, too: hosts ignore others.
	t.define(true, "nd", "icmp6.type == {135, 136} && icmp6.code == 0")
	t.define(true, "nd_ns", "icmp6.type == 135 && icmp6.code == 0")
	t.define(true, "nd_na", "icmp6.type == 136 && icmp6.code == 0")
	t.define(true, "nd_rs", "icmp6.type == 133 && icmp6.code == 0")
	t.define(true, "nd_ra", "icmp6.type == 134 && icmp6.code == 0")
	t.define(true, "mldv1", "ip6.src == fe80::/10 && icmp6.type == {130, 131, 132}")
	t.define(true, "mldv2", "ip6.dst == ff02::16 && icmp6.type == 143")
}

func (t symbolTable) addLayer4() {
	for _, p := range []flows.Proto{flows.TCP, flows.UDP, flows.SCTP} {
		name := p.String()
		t.define(true, name, fmt.Sprintf("ip.proto == %d", p))
		t.layer4(name+".src", 16, false, srcPort, secgroup.AnyFamily, p)
		t.layer4(name+".dst", 16, false, dstPort, secgroup.AnyFamily, p)
	}
	t.opaque(false, 12, "tcp.flags")
}

// layer4 adds a field that only packets of one protocol have.
func (t symbolTable) layer4(name string, width int, nominal bool, m meaning, f secgroup.Family, p flows.Proto) {
	t.add(symbol{name: name, width: width, nominal: nominal, meaning: m, family: f, proto: p, layer4: true})
}
