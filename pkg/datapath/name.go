package datapath

import "strconv"

// keyNames are those of ovs-dpctl(8) for what a Match cannot hold, or a set action
// names.
var keyNames = [keyMax]string{
	keyEncap: "encap", keyPriority: "skb_priority", keyInPort: "in_port", keyEthernet: "eth", keyVLAN: "vlan",
	keyEthertype: "eth_type", keyIPv4: "ipv4", keyIPv6: "ipv6", keyTCP: "tcp", keyUDP: "udp", keyICMP: "icmp",
	keyICMPv6: "icmpv6", keyARP: "arp", keyND: "nd", keySkbMark: "skb_mark", keyTunnel: "tunnel", keySCTP: "sctp",
	keyTCPFlags: "tcp_flags", keyDPHash: "dp_hash", keyRecircID: "recirc_id", keyMPLS: "mpls", keyCTState: "ct_state",
	keyCTZone: "ct_zone", keyCTMark: "ct_mark", keyCTLabels: "ct_label", keyCTTuple4: "ct_tuple4", keyCTTuple6: "ct_tuple6",
	keyNSH: "nsh", keyPacketType: "packet_type", keyIPv6Exthdrs: "ipv6_exthdrs",
}

func keyName(typ int) string {
	if typ < keyMax && keyNames[typ] != "" {
		return keyNames[typ]
	}
	return "key attribute " + strconv.Itoa(typ)
}
