package megaflow

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// Packet is what is known of a packet. Bits of Key outside Known are 0: the DSCP and
// the TTL of the next packet of a connection, say, are not known.
type Packet struct{ Key, Known Key }

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
// comes in at a port of the datapath, with the addresses of p and t: not a
// fragment, without a VLAN tag or a tunnel, not yet tracked, and with neither SYN,
// FIN nor RST, since a rule leaves those to the slow path.
//
// Not known are TOS, TTL, flow label and the other TCP flags, which differ from
// packet to packet, and what comes with the packet's buffer: ovs_flow_key_extract
// (net/openvswitch/flow.c) copies skb->priority and skb->mark, which are 0 for most
// packets that a port receives, but which tc, nftables or a sender in the same
// network namespace can set. Neither is the hash, which is 0 until it is computed
// and then anything.
func NewPacket(inPort uint32, p flows.Frame, t flows.Tuple) Packet {
	var k Packet
	k.SetUint(RecircID, 0)
	k.SetUint(InPort, uint64(inPort))
	k.SetUint(EthSrc, mac(p.SrcMAC))
	k.SetUint(EthDst, mac(p.DstMAC))
	k.SetUint(VLANTCI, 0)
	k.SetUint(IPFrag, 0)
	k.SetUint(EthType, etherIPv4)
	if t.IsIPv6() {
		k.SetUint(EthType, etherIPv6)
	}
	k.SetUint(IPProto, uint64(t.Proto))
	k.SetWide(IPSrc, wide(t.Src))
	k.SetWide(IPDst, wide(t.Dst))
	switch t.Proto {
	case flows.ICMP, flows.ICMPv6: // type and code: the next packet can have others
	case flows.TCP, flows.UDP, flows.SCTP:
		k.SetUint(TPSrc, uint64(t.SrcPort))
		k.SetUint(TPDst, uint64(t.DstPort))
	default: // OVS reads no ports of other protocols
		k.SetUint(TPSrc, 0)
		k.SetUint(TPDst, 0)
	}
	if t.Proto == flows.TCP {
		k.SetBits(TCPFlags, 0, finSynRst)
	}
	k.untracked()
	return k
}

func mac(m flows.MAC) (v uint64) {
	for _, b := range m {
		v = v<<8 | uint64(b)
	}
	return v
}

// wide returns an address in the last bytes of 16.
func wide(a netip.Addr) (v [16]byte) {
	b := a.AsSlice()
	copy(v[16-len(b):], b)
	return v
}
