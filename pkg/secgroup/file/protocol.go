package file

import (
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// protocols are the names that Neutron has for IP protocols (neutron_lib.constants), beside
// those of the package flows. Protocol 0 has two of them.
var protocols = map[string]flows.Proto{
	"hopopt": 0, "ip": 0, "igmp": 2, "ipip": 4, "egp": 8, "ipv6-encap": 41, "ipv6-route": 43,
	"ipv6-frag": 44, "rsvp": 46, "ipv6-icmp": flows.ICMPv6, "ipv6-nonxt": 59, "ipv6-opts": 60,
	"ospf": 89, "vrrp": 112, "pgm": 113, "udplite": udpLite,
}

const udpLite flows.Proto = 136

// parseProtocol reads a protocol as Neutron's API takes it: a name in any case, or a
// number.
func parseProtocol(s string) (flows.Proto, bool) {
	s = strings.ToLower(s)
	if p, ok := protocols[s]; ok {
		return p, true
	}
	p, err := flows.ParseProto(s)
	return p, err == nil
}

// onlyIPv6 says whether Neutron takes a protocol for IPv6 only.
func onlyIPv6(p flows.Proto) bool {
	return p == 41 || p == 43 || p == 44 || p == flows.ICMPv6 || p == 59 || p == 60
}

// takesPorts says whether Neutron takes port ranges for a protocol.
func takesPorts(p flows.Proto) bool { return p.HasPorts() || p == udpLite }
