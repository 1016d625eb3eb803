package tc

import "golang.org/x/sys/unix"

// Where a filter hangs: the parents of clsact's two hooks (TC_H_MAKE of
// TC_H_CLSACT with TC_H_MIN_INGRESS and TC_H_MIN_EGRESS, linux/pkt_sched.h).
const (
	Ingress uint32 = 0xfffffff2
	Egress  uint32 = 0xfffffff3
)

const (
	clsactParent uint32 = 0xfffffff1 // TC_H_CLSACT, the same number as TC_H_INGRESS
	clsactHandle uint32 = 0xffff0000
)

// Ethertypes, as Filter.Protocol holds them (linux/if_ether.h).
const (
	ProtocolAll  uint16 = unix.ETH_P_ALL
	ProtocolIPv4 uint16 = unix.ETH_P_IP
	ProtocolIPv6 uint16 = unix.ETH_P_IPV6
	ProtocolVLAN uint16 = unix.ETH_P_8021Q
	ProtocolQinQ uint16 = unix.ETH_P_8021AD
)

const (
	nlmsgHeaderLen = 16
	tcmsgLen       = 20
	attrHeaderLen  = 4
	attrTypeMask   = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
	nested         = 0x8000 // NLA_F_NESTED

	// maxMessage bounds one request: the longest attribute that a 16-bit length can
	// describe, so that no nest can overflow.
	maxMessage = 32 << 10
)

// Attributes of every tc message (linux/rtnetlink.h).
const (
	attrKind      = 1
	attrOptions   = 2
	attrChain     = 11
	attrDumpFlags = 15
	attrExtWarn   = 16

	dumpTerse = 1
)

// Attributes of flower (linux/pkt_cls.h, TCA_FLOWER_*).
const (
	flowerAct        = 3
	flowerDstMAC     = 4
	flowerDstMACMask = 5
	flowerSrcMAC     = 6
	flowerSrcMACMask = 7
	flowerEthType    = 8
	flowerIPProto    = 9
	flowerSrc4       = 10
	flowerSrc4Mask   = 11
	flowerDst4       = 12
	flowerDst4Mask   = 13
	flowerSrc6       = 14
	flowerSrc6Mask   = 15
	flowerDst6       = 16
	flowerDst6Mask   = 17
	flowerTCPSrc     = 18
	flowerTCPDst     = 19
	flowerUDPSrc     = 20
	flowerUDPDst     = 21
	flowerFlags      = 22
	flowerVLANID     = 23
	flowerVLANPrio   = 24
	flowerVLANType   = 25
	flowerEncKeyID   = 26
	flowerEncSrc4    = 27
	flowerEncSrc4Msk = 28
	flowerEncDst4    = 29
	flowerEncDst4Msk = 30
	flowerEncSrc6    = 31
	flowerEncSrc6Msk = 32
	flowerEncDst6    = 33
	flowerEncDst6Msk = 34
	flowerTCPSrcMask = 35
	flowerTCPDstMask = 36
	flowerUDPSrcMask = 37
	flowerUDPDstMask = 38
	flowerSCTPSrcMsk = 39
	flowerSCTPDstMsk = 40
	flowerSCTPSrc    = 41
	flowerSCTPDst    = 42
	flowerEncDst     = 45
	flowerEncDstMask = 46
	flowerKeyFlags   = 47
	flowerKeyFlagsMk = 48
	flowerTCPFlags   = 71
	flowerTCPFlagsMk = 72
	flowerTOS        = 73
	flowerTOSMask    = 74
	flowerTTL        = 75
	flowerTTLMask    = 76
	flowerCVLANID    = 77
	flowerCVLANPrio  = 78
	flowerCVLANType  = 79
	flowerEncTOS     = 80
	flowerEncTOSMask = 81
	flowerEncTTL     = 82
	flowerEncTTLMask = 83
	flowerEncOpts    = 84
	flowerEncOptsMsk = 85
	flowerInHWCount  = 86
)

// Attributes of an action (TCA_ACT_*), of its statistics (TCA_STATS_*) and of
// the options of most kinds of actions, which agree on these two numbers.
const (
	actKind        = 1
	actOptions     = 2
	actIndex       = 3
	actStats       = 4
	actCookie      = 6
	actFlags       = 7
	actHWStats     = 8
	actUsedHWStats = 9
	actInHWCount   = 10

	statsBasic   = 1
	statsBasicHW = 7
	statsPkt64   = 8

	optTM    = 1
	optParms = 2
)
