package flows

import (
	"fmt"
	"strconv"
)

// Proto is an IP protocol number (IANA "Assigned Internet Protocol Numbers").
type Proto uint8

// The protocols that Flowshunt knows by name.
const (
	ICMP   Proto = 1
	TCP    Proto = 6
	UDP    Proto = 17
	DCCP   Proto = 33
	GRE    Proto = 47
	ESP    Proto = 50
	AH     Proto = 51
	ICMPv6 Proto = 58
	SCTP   Proto = 132
)

var protoNames = map[Proto]string{
	ICMP: "icmp", TCP: "tcp", UDP: "udp", DCCP: "dccp", GRE: "gre",
	ESP: "esp", AH: "ah", ICMPv6: "icmpv6", SCTP: "sctp",
}

// String returns the lower-case name, or the number of a protocol without one.
func (p Proto) String() string {
	if name, ok := protoNames[p]; ok {
		return name
	}
	return strconv.Itoa(int(p))
}

// HasPorts reports whether packets of p carry 16-bit source and destination
// ports directly behind the IP header.
func (p Proto) HasPorts() bool {
	return p == TCP || p == UDP || p == SCTP || p == DCCP
}

// ParseProto reads a name as String writes it, or a number from 0 to 255.
func ParseProto(s string) (Proto, error) {
	for p, name := range protoNames {
		if name == s {
			return p, nil
		}
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("protocol %q: neither a known name nor a number from 0 to 255", s)
	}
	return Proto(n), nil
}
