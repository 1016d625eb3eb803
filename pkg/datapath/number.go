package datapath

// Numbers of generic netlink (linux/genetlink.h) and of the datapath
// (linux/openvswitch.h).
const (
	genlControl   = 0x10 // GENL_ID_CTRL
	genlGetFamily = 3
	genlFamilyID  = 1
	genlFamily    = 2 // CTRL_ATTR_FAMILY_NAME

	nlHeader   = 16
	genlHeader = 4 // command, version, two reserved
	ovsHeader  = 4 // dp_ifindex

	cmdGet       = 3 // of datapaths, ports and flows
	dpVersion    = 2 // OVS_DATAPATH_VERSION
	otherVersion = 1

	dpName = 1

	portNumber  = 1
	portType    = 2
	portName    = 3
	portIfindex = 8
	portNetNS   = 9

	flowKey     = 1
	flowActions = 2
	flowStats   = 3
	flowUsed    = 5
	flowMask    = 7
)

// OVS_KEY_ATTR_*
const (
	keyEncap       = 1
	keyPriority    = 2
	keyInPort      = 3
	keyEthernet    = 4
	keyVLAN        = 5
	keyEthertype   = 6
	keyIPv4        = 7
	keyIPv6        = 8
	keyTCP         = 9
	keyUDP         = 10
	keyICMP        = 11
	keyICMPv6      = 12
	keyARP         = 13
	keyND          = 14
	keySkbMark     = 15
	keyTunnel      = 16
	keySCTP        = 17
	keyTCPFlags    = 18
	keyDPHash      = 19
	keyRecircID    = 20
	keyMPLS        = 21
	keyCTState     = 22
	keyCTZone      = 23
	keyCTMark      = 24
	keyCTLabels    = 25
	keyCTTuple4    = 26
	keyCTTuple6    = 27
	keyNSH         = 28
	keyPacketType  = 29
	keyIPv6Exthdrs = 32
	keyMax         = 63
)

// OVS_ACTION_ATTR_*
const (
	actOutput      = 1
	actUserspace   = 2
	actSet         = 3
	actPushVLAN    = 4
	actPopVLAN     = 5
	actSample      = 6
	actRecirc      = 7
	actHash        = 8
	actPushMPLS    = 9
	actPopMPLS     = 10
	actSetMasked   = 11
	actCT          = 12
	actTrunc       = 13
	actPushEth     = 14
	actPopEth      = 15
	actCTClear     = 16
	actPushNSH     = 17
	actPopNSH      = 18
	actMeter       = 19
	actClone       = 20
	actCheckPktLen = 21
	actAddMPLS     = 22
	actDecTTL      = 23
	actDrop        = 24 // since Linux 6.7
	actPsample     = 25 // since Linux 6.11
)

// OVS_CHECK_PKT_LEN_ATTR_*
const (
	checkLength = 1
	checkLonger = 2
	checkFits   = 3
)

// OVS_TUNNEL_KEY_ATTR_*
const (
	tunID      = 0
	tunSrc4    = 1
	tunDst4    = 2
	tunTOS     = 3
	tunTTL     = 4
	tunNoBreak = 5 // OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT
	tunCsum    = 6
	tunOAM     = 7
	tunGeneve  = 8
	tunTPSrc   = 9
	tunTPDst   = 10
	tunVXLAN   = 11
	tunSrc6    = 12
	tunDst6    = 13
	tunPad     = 14
	tunMax     = 31
)

// OVS_CT_ATTR_* and OVS_NAT_ATTR_*
const (
	ctCommit      = 1
	ctZone        = 2
	ctMark        = 3
	ctLabels      = 4
	ctHelper      = 5
	ctNAT         = 6
	ctForceCommit = 7
	ctEventmask   = 8
	ctTimeout     = 9

	natSrc = 1
	natDst = 2
)
