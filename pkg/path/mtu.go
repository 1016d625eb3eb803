package path

import "github.com/flowshunt/flowshunt/flows"

// What a tunnel adds to an IP packet: an Ethernet header, that of VXLAN or Geneve (RFC 7348,
// section 5, and RFC 8926, section 3.1: 8 bytes each), UDP, IP, and the tags within.
const (
	ethernetLen = 14
	tagLen      = 4
	overlayLen  = 8
	udpLen      = 8
	ipv4Len     = 20
	ipv6Len     = 40
)

// longest returns how long an IP packet can be that goes out; 0: that is not known.
func (f *Forwarding) longest(out *Port) int {
	if f.Leaves.Tunnel.IsZero() {
		return out.MTU - max(0, f.Leaves.Tags.Len()-1)*tagLen // OVS excuses one tag (packet_length in net/openvswitch/vport.c)
	}
	if f.Underlay == 0 {
		return 0
	}
	tunnel := f.Leaves.Tunnel.Value()
	outer := ipv4Len
	if tunnel.Dst.Is6() {
		outer = ipv6Len
	}
	return f.Underlay - outer - udpLen - overlayLen - len(tunnel.Options) - ethernetLen - f.Leaves.Tags.Len()*tagLen
}

// misfit refuses a path on which a packet may come in that is too long to go out. A
// rule cannot look at the length, and what it sends is dropped without the word to the
// sender that the slow path may have for him (skb_tunnel_check_pmtu in
// net/ipv4/ip_tunnel_core.c). The kernel's flowtable decides so for each packet, by the MTU
// of the route (nf_flow_exceeds_mtu in net/netfilter/nf_flow_table_ip.c); here the MTUs of
// the two ports must show that no packet can be too long. What comes out of a tunnel was
// sent by a port that was held against its own underlay, on its own host; what is too long
// for the port here, OVS drops as silently (ovs_vport_send in net/openvswitch/vport.c). So it
// does behind a router, where networks of different length meet as a matter of course; if
// its pipeline has a word for the sender there, it asks for the length (check_pkt_len), and
// then no path is composed.
func misfit(in *Port, frame flows.Frame, out *Port, f *Forwarding) *Refusal {
	if in.IsTunnel() || f.Hops > 0 && f.Leaves.Tunnel.IsZero() {
		return nil
	}
	came, goes := in.MTU-max(0, frame.Tags.Len()-1)*tagLen, f.longest(out)
	switch {
	case in.MTU == 0:
		return refuse(flows.UnsupportedMTU, "how long packets may be that enter %s is not known", in.Name)
	case came <= goes:
		return nil
	}
	return refuse(flows.UnsupportedMTU, "packets of %d bytes may enter %s, and %d may leave by %s", came, in.Name, goes, out.Name)
}
