package ovn_test

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// host is a logical port and what is behind it.
type host struct {
	name, sw, mac string
	ip            [2]netip.Addr // by family
}

// packet is the first of a connection, or a later one in the same direction.
type packet struct {
	from, to *host
	tuple    flows.Tuple
}

// withPorts are the protocols whose ports OVN can match.
var withPorts = map[flows.Proto]string{flows.TCP: "tcp", flows.UDP: "udp", flows.SCTP: "sctp"}

// microflow is the packet as ovn-trace reads it.
func (p packet) microflow() string {
	t, ip, icmp := p.tuple, "ip4", "icmp4"
	if t.IsIPv6() {
		ip, icmp = "ip6", "icmp6"
	}
	terms := []string{
		fmt.Sprintf("inport == %q && eth.src == %s && eth.dst == %s", p.from.name, p.from.mac, p.to.mac),
		fmt.Sprintf("%s.src == %s && %s.dst == %s && ip.ttl == 64", ip, t.Src, ip, t.Dst),
	}
	switch name := withPorts[t.Proto]; {
	case t.Proto == flows.ICMP || t.Proto == flows.ICMPv6:
		terms = append(terms, fmt.Sprintf("%s.type == %d && %s.code == %d", icmp, t.DstPort>>8, icmp, t.DstPort&0xff))
	case name != "":
		terms = append(terms, fmt.Sprintf("%s && %s.src == %d && %s.dst == %d", name, name, t.SrcPort, name, t.DstPort))
	default:
		terms = append(terms, fmt.Sprintf("ip.proto == %d", t.Proto))
	}
	return strings.Join(terms, " && ")
}
