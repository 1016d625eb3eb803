package openflow

// field is an OXM or NXM header without its mask bit and length: the class in
// the upper bits, the number within it in the lower seven.
type field uint32

// Classes of match fields.
const (
	classNicira       = 0x0000 // NXM_OF_*, for OpenFlow 1.0
	classNiciraMore   = 0x0001 // NXM_NX_*
	classBasic        = 0x8000 // OXM_OF_*
	classExperimenter = 0xffff // the vendor stands before the value
)

// The fields that narrow. NXM and OXM differ in where and how wide they are;
// messages of 1.0 mix both.
const (
	nxmInPort  field = classNicira << 7 // number 0, 16 bits
	nxmEthDst  field = classNicira<<7 | 1
	nxmEthSrc  field = classNicira<<7 | 2
	nxmEthType field = classNicira<<7 | 3
	nxmIPProto field = classNicira<<7 | 6
	nxmIPSrc   field = classNicira<<7 | 7
	nxmIPDst   field = classNicira<<7 | 8
	nxmTCPSrc  field = classNicira<<7 | 9
	nxmTCPDst  field = classNicira<<7 | 10
	nxmUDPSrc  field = classNicira<<7 | 11
	nxmUDPDst  field = classNicira<<7 | 12

	nxmIPv6Src field = classNiciraMore<<7 | 19
	nxmIPv6Dst field = classNiciraMore<<7 | 20

	oxmInPort  field = classBasic << 7 // number 0, 32 bits
	oxmEthDst  field = classBasic<<7 | 3
	oxmEthSrc  field = classBasic<<7 | 4
	oxmEthType field = classBasic<<7 | 5

	oxmVLANID       field = classBasic<<7 | 6 // 13 bits: that there is a tag, and its number
	oxmVLANPriority field = classBasic<<7 | 7

	oxmTunnelID   field = classBasic<<7 | 38
	nxmTunnelSrc  field = classNiciraMore<<7 | 31
	nxmTunnelDst  field = classNiciraMore<<7 | 32
	nxmTunnel6Src field = classNiciraMore<<7 | 109
	nxmTunnel6Dst field = classNiciraMore<<7 | 110
	oxmIPProto    field = classBasic<<7 | 10
	oxmIPv4Src    field = classBasic<<7 | 11
	oxmIPv4Dst    field = classBasic<<7 | 12
	oxmTCPSrc     field = classBasic<<7 | 13
	oxmTCPDst     field = classBasic<<7 | 14
	oxmUDPSrc     field = classBasic<<7 | 15
	oxmUDPDst     field = classBasic<<7 | 16
	oxmSCTPSrc    field = classBasic<<7 | 17
	oxmSCTPDst    field = classBasic<<7 | 18
	oxmIPv6Src    field = classBasic<<7 | 26
	oxmIPv6Dst    field = classBasic<<7 | 27
)

// EtherTypes that say what a flow concerns. Others leave that open: an IP packet
// with two VLAN tags or an MPLS label has the outer one's.
const (
	ethIPv4 = 0x0800
	ethARP  = 0x0806
	ethRARP = 0x8035
	ethIPv6 = 0x86dd
	ethLLDP = 0x88cc
)
