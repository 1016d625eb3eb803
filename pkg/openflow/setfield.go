package openflow

// Field is a field of a packet, or of the tunnel that it leaves in, that SetField writes.
type Field uint8

// The fields that SetField writes. Those of a transport protocol require that the flow
// matches it, and those of a tag that the packet has one.
const (
	EthSrc Field = 1 + iota
	EthDst
	VLANID // with VLANPresent
	VLANPriority
	IPv4Src
	IPv4Dst
	IPv6Src
	IPv6Dst
	TCPSrc
	TCPDst
	UDPSrc
	UDPDst
	SCTPSrc
	SCTPDst
	TunnelID
	TunnelIPv4Src
	TunnelIPv4Dst
	TunnelIPv6Src
	TunnelIPv6Dst
)

// settable says where fields are written, and how many bytes they have.
var settable = [...]struct {
	field field
	width int
}{
	EthSrc: {oxmEthSrc, 6}, EthDst: {oxmEthDst, 6}, VLANID: {oxmVLANID, 2}, VLANPriority: {oxmVLANPriority, 1},
	IPv4Src: {oxmIPv4Src, 4}, IPv4Dst: {oxmIPv4Dst, 4}, IPv6Src: {oxmIPv6Src, 16}, IPv6Dst: {oxmIPv6Dst, 16},
	TCPSrc: {oxmTCPSrc, 2}, TCPDst: {oxmTCPDst, 2}, UDPSrc: {oxmUDPSrc, 2}, UDPDst: {oxmUDPDst, 2},
	SCTPSrc: {oxmSCTPSrc, 2}, SCTPDst: {oxmSCTPDst, 2}, TunnelID: {oxmTunnelID, 8},
	TunnelIPv4Src: {nxmTunnelSrc, 4}, TunnelIPv4Dst: {nxmTunnelDst, 4},
	TunnelIPv6Src: {nxmTunnel6Src, 16}, TunnelIPv6Dst: {nxmTunnel6Dst, 16},
}

func headerOf(f field, size int) uint32 { return uint32(f)<<9 | uint32(size) }
