package megaflow

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// Packet is what is known of a packet. Bits of Key outside Known are 0: the DSCP and
// the TTL of the next packet of a connection, say, are not known.
type Packet struct {
	Key, Known Key
	Options    string // Geneve's, of the tunnel that it came in
	Hops       uint8  // by which its TTL is less than when it came in
}

// SetUint makes a field of at most 64 bits known.
func (p *Packet) SetUint(f Field, v uint64) { p.SetBits(f, v, ^uint64(0)) }

// SetBits makes those bits of a field of at most 64 bits known that mask has.
func (p *Packet) SetBits(f Field, v, mask uint64) {
	p.Key.SetUint(f, v&mask)
	p.Known.SetUint(f, mask)
}

// SetWide makes a field of 128 bits known.
func (p *Packet) SetWide(f Field, v [16]byte) {
	p.Key.SetWide(f, v)
	all := full(f)
	for i := range all {
		p.Known[i] |= all[i]
	}
}

// Ethertypes and the flags of TCP that end or begin a connection.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	finSynRst = 0x07
)

// NewPacket returns what is known of a packet of an established connection that
// comes in at a port of the datapath as f and t say: not a fragment, not yet tracked,
// and with neither SYN, FIN nor RST, since a rule leaves those to the slow path.
//
// Of the outer header nothing else is there to be known: OVS looks at its TOS, and at
// the flags that the checksum is there and that it may not be fragmented, but only
// what CE means for the inner TOS depends on them (tnl_wc_init and tnl_process_ecn in
// ofproto/tunnel.c); OpenFlow has no field for any of them.
//
// Not known are TOS, TTL, flow label and the other TCP flags, which differ from
// packet to packet, and what comes with the packet's buffer: ovs_flow_key_extract
// (net/openvswitch/flow.c) copies skb->priority and skb->mark, which are 0 for most
// packets that a port receives, but which tc, nftables or a sender in the same
// network namespace can set. Neither is the hash, which is 0 until it is computed
// and then anything.
func NewPacket(inPort uint32, f flows.Frame, t flows.Tuple) Packet {
	var k Packet
	k.SetUint(RecircID, 0)
	k.SetUint(InPort, uint64(inPort))
	k.SetUint(EthSrc, mac(f.SrcMAC))
	k.SetUint(EthDst, mac(f.DstMAC))
	k.setTags(f.Tags)
	k.setTunnel(f.Tunnel.Value())
	k.SetUint(IPFrag, 0)
	k.SetUint(EthType, etherIPv4)
	if t.IsIPv6() {
		k.SetUint(EthType, etherIPv6)
	}
	k.SetUint(IPProto, uint64(t.Proto))
	k.setTuple(t)
	if t.Proto == flows.TCP {
		k.SetBits(TCPFlags, 0, finSynRst)
	}
	k.untracked()
	return k
}

// setTuple makes addresses and ports known.
func (p *Packet) setTuple(t flows.Tuple) {
	p.SetWide(IPSrc, wide(t.Src))
	p.SetWide(IPDst, wide(t.Dst))
	switch {
	case hasPorts(t.Proto):
		p.SetUint(TPSrc, uint64(t.SrcPort))
		p.SetUint(TPDst, uint64(t.DstPort))
	case t.Proto == flows.ICMP || t.Proto == flows.ICMPv6: // type and code: the next packet can have others
	default: // OVS reads no ports of other protocols
		p.SetUint(TPSrc, 0)
		p.SetUint(TPDst, 0)
	}
}

// hasPorts reports whether OVS reads ports of a protocol.
func hasPorts(p flows.Proto) bool { return p == flows.TCP || p == flows.UDP || p == flows.SCTP }

// Addressed returns t with the addresses and ports that the packet has now.
func (p *Packet) Addressed(t flows.Tuple) flows.Tuple {
	t.Src, t.Dst = p.addr(IPSrc, t.IsIPv6()), p.addr(IPDst, t.IsIPv6())
	if hasPorts(t.Proto) {
		t.SrcPort, t.DstPort = uint16(p.Key.Uint(TPSrc)), uint16(p.Key.Uint(TPDst))
	}
	return t
}

func (p *Packet) addr(f Field, v6 bool) netip.Addr {
	b := p.Key.Wide(f)
	if v6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[12:]))
}
