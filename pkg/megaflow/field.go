package megaflow

import "strconv"

// Field is a part of a flow key, named as ovs-fields(7) does.
type Field uint8

// The fields that an IP packet can have. In a Key each has its own bits; addresses and
// CTLabel have 128, IPv4 addresses being in the last 32 of them. Geneve's options are
// beside the Key.
const (
	RecircID Field = iota
	InPort         // of the datapath, or of a bridge: whoever makes Flows and Packets agrees
	SkbPriority
	SkbMark
	DPHash
	EthSrc
	EthDst
	EthType   // of what is behind the VLAN tags
	VLANTCI   // of the outermost tag, with the CFI bit, as OVS has it; 0: no tag
	VLANType  // of the outermost tag: flows.TagCustomer or flows.TagProvider; 0: no tag
	InnerTCI  // of the tag behind it
	InnerType // of the tag behind it
	IPProto
	IPTOS
	IPTTL
	IPFrag // 0: not a fragment; else OVS_FRAG_TYPE_*
	IPv6Label
	TPSrc
	TPDst
	TCPFlags
	CTState // OVS_CS_F_*
	CTZone
	CTMark
	CTIPProto
	CTTPSrc
	CTTPDst
	IPSrc
	IPDst
	CTLabel
	CTIPSrc
	CTIPDst
	TunID
	TunOAM // 1: a packet of Geneve's own; nobody offloads those
	TunSrc // of the underlay, as IPSrc
	TunDst // 0: in no tunnel
	numFields
)

var fieldNames = [numFields]string{
	RecircID: "recirc_id", InPort: "in_port", SkbPriority: "skb_priority", SkbMark: "pkt_mark", DPHash: "dp_hash",
	EthSrc: "eth_src", EthDst: "eth_dst", EthType: "eth_type", VLANTCI: "vlan_tci",
	VLANType: "vlan_type", InnerTCI: "vlan_tci1", InnerType: "vlan_type1",
	IPProto: "nw_proto", IPTOS: "nw_tos", IPTTL: "nw_ttl", IPFrag: "ip_frag", IPv6Label: "ipv6_label",
	TPSrc: "tp_src", TPDst: "tp_dst", TCPFlags: "tcp_flags",
	CTState: "ct_state", CTZone: "ct_zone", CTMark: "ct_mark",
	CTIPProto: "ct_nw_proto", CTTPSrc: "ct_tp_src", CTTPDst: "ct_tp_dst",
	IPSrc: "ip_src", IPDst: "ip_dst", CTLabel: "ct_label", CTIPSrc: "ct_nw_src", CTIPDst: "ct_nw_dst",
	TunID: "tun_id", TunOAM: "tun_flags", TunSrc: "tun_src", TunDst: "tun_dst",
}

// String returns the name. IPSrc and its like have the name of the IPv4 field for
// IPv6 too.
func (f Field) String() string {
	if f < numFields {
		return fieldNames[f]
	}
	return "field" + strconv.Itoa(int(f))
}

// IsWide reports whether the field has 128 bits.
func (f Field) IsWide() bool { return f < numFields && places[f].bits > 64 }

// Fields returns all of them.
func Fields() []Field {
	all := make([]Field, numFields)
	for f := range all {
		all[f] = Field(f)
	}
	return all
}

// place says where a Key has a field.
type place struct {
	word, shift, bits uint8 // bits 128: this word and the next
}

var places = [numFields]place{
	RecircID: {0, 0, 32}, InPort: {0, 32, 32},
	SkbPriority: {1, 0, 32}, SkbMark: {1, 32, 32},
	EthSrc: {2, 0, 48}, EthType: {2, 48, 16},
	EthDst: {3, 0, 48}, VLANTCI: {3, 48, 16},
	IPProto: {4, 0, 8}, IPTOS: {4, 8, 8}, IPTTL: {4, 16, 8}, IPFrag: {4, 24, 8}, DPHash: {4, 32, 32},
	TPSrc: {5, 0, 16}, TPDst: {5, 16, 16}, TCPFlags: {5, 32, 16}, CTZone: {5, 48, 16},
	CTState: {6, 0, 32}, CTMark: {6, 32, 32},
	CTIPProto: {7, 0, 8}, CTTPSrc: {7, 8, 16}, CTTPDst: {7, 24, 16}, IPv6Label: {7, 40, 20},
	IPSrc: {8, 0, 128}, IPDst: {10, 0, 128},
	CTLabel: {12, 0, 128}, CTIPSrc: {14, 0, 128}, CTIPDst: {16, 0, 128},
	VLANType: {18, 0, 16}, InnerTCI: {18, 16, 16}, InnerType: {18, 32, 16}, TunOAM: {18, 48, 8},
	TunID: {19, 0, 64}, TunSrc: {20, 0, 128}, TunDst: {22, 0, 128},
}

const keyWords = 24
