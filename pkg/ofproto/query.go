package ofproto

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// maxStates bounds the passes through conntrack of one packet. OVN needs two on one
// node, six with a load balancer and gateways on it.
const maxStates = 12

// Query is a packet of an established connection that comes in at a port of a
// bridge.
type Query struct {
	Bridge   string
	InPort   uint32    // OpenFlow port number; 65534 is the bridge's own port
	Datapath *Datapath // the same port in the datapath; nil: not known
	flows.Frame
	Tuple    flows.Tuple // as the packet is addressed
	Reply    bool        // it travels in the reply direction of the connection
	Original flows.Tuple // of the connection where it is tracked; zero: without translation
	Mark     uint32      // of the conntrack entry
	Labels   [16]byte    // of the conntrack entry, most significant byte first

	// Aside is metadata that the packet comes in with, 0 for none, as packets do: by it a
	// pipeline can pass over flows. Where it is given OVS is not told the original tuple.
	Aside uint64

	other bool             // with another TTL, and another ECN
	exact uint8            // with this TTL, which matters; 0: any that a rule carries
	alike bool             // what has few hops left is known to be treated like all others
	from  *megaflow.Packet // as it is recirculated; nil: as it comes in

	ours func(cookie uint64) bool // see Tracer
}

// ttl and tos return what the packet has of what differs from packet to packet: a TTL
// that routers take as it is, or a small one that a rule carries; no ECN, or some (ECT(0)).
func (q *Query) ttl() int {
	ttl := 64
	switch {
	case q.exact != 0:
		return int(q.exact)
	case q.other: // behind the last router still one that a rule carries
		ttl = 2*flows.MaxHops + 1
	}
	if q.from != nil {
		ttl -= int(q.from.Hops)
	}
	return ttl
}

func (q *Query) tos() int {
	if q.other {
		return 2
	}
	return 0
}

// recircID returns where the packet comes in.
func (q *Query) recircID() uint32 {
	if q.from == nil {
		return 0
	}
	return uint32(q.from.Key.Uint(megaflow.RecircID))
}

// original returns the tuple of the original direction.
func (q *Query) original() flows.Tuple {
	switch {
	case q.Original != flows.Tuple{}:
		return q.Original
	case q.Reply:
		return q.Tuple.Reverse()
	}
	return q.Tuple
}

// Datapath is where a port is in the datapath. Only with it OVS can be told the
// original tuple of the connection, which a pipeline may match on (OVN's load
// balancers do).
type Datapath struct {
	Type string // "system" or "netdev"
	Port uint32
}

// args returns the arguments of ofproto/trace.
func (q *Query) args() ([]string, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	args := []string{q.Bridge, q.flow()}
	if q.Datapath != nil && (q.Aside == 0 || q.from != nil) { // recirculation brings metadata back
		args = []string{q.Datapath.Type, q.key()}
	}
	for range maxStates {
		args = append(args, "--ct-next", q.state(","))
	}
	return args, nil
}

func (q *Query) check() error {
	t := q.Tuple
	switch {
	case q.Bridge == "" || q.Bridge[0] == '-':
		return fmt.Errorf("%w: bridge %q", ErrQuery, q.Bridge)
	case q.Datapath != nil && q.Datapath.Type != "system" && q.Datapath.Type != "netdev":
		return fmt.Errorf("%w: datapath %q", ErrQuery, q.Datapath.Type)
	case q.InPort == 0:
		return fmt.Errorf("%w: no port", ErrQuery)
	case !q.SrcMAC.IsUnicast() || !q.DstMAC.IsUnicast():
		return fmt.Errorf("%w: %v to %v is not from station to station", ErrQuery, q.SrcMAC, q.DstMAC)
	case !t.IsValid() || t.Src.Is4In6() || t.Dst.Is4In6():
		return fmt.Errorf("%w: tuple %v", ErrQuery, t)
	case t.Proto == flows.ICMP || t.Proto == flows.ICMPv6:
		return fmt.Errorf("%w: %v has a type and a code, which a tuple lacks", ErrQuery, t.Proto)
	case t.Proto == flows.AH && t.IsIPv6():
		return fmt.Errorf("%w: in IPv6, OVS looks behind AH", ErrQuery)
	}
	return q.checkOutside()
}

// state is the conntrack state of the packet, its flags parted by sep.
func (q *Query) state(sep string) string {
	if q.Reply {
		return strings.Join([]string{"est", "rpl", "trk"}, sep)
	}
	return strings.Join([]string{"est", "trk"}, sep)
}

// flow writes the packet as ovs-fields(7) describes. A TCP packet in the middle of
// a connection has ACK; a pipeline may look for SYN, FIN and RST. OVS takes tp_src for
// TCP's alone.
func (q *Query) flow() string {
	var b strings.Builder
	t, address := q.Tuple, "nw"
	if t.IsIPv6() {
		address = "ipv6"
	}
	fmt.Fprintf(&b, "%s,in_port=%d,dl_src=%v,dl_dst=%v,%s_src=%v,%s_dst=%v,nw_ttl=%d,nw_ecn=%d",
		q.protocol(), q.InPort, q.SrcMAC, q.DstMAC, address, t.Src, address, t.Dst, q.ttl(), q.tos())
	q.flowOutside(&b)
	if q.named() {
		fmt.Fprintf(&b, ",%v_src=%d,%v_dst=%d", t.Proto, t.SrcPort, t.Proto, t.DstPort)
	}
	if t.Proto == flows.TCP {
		b.WriteString(",tcp_flags=ack")
	}
	if q.Mark != 0 {
		fmt.Fprintf(&b, ",ct_mark=%#x", q.Mark)
	}
	if q.Labels != [16]byte{} {
		fmt.Fprintf(&b, ",ct_label=0x%x", q.Labels)
	}
	if q.Aside != 0 {
		fmt.Fprintf(&b, ",metadata=%#x", q.Aside)
	}
	return b.String()
}

// named reports whether OVS knows the protocol by name, and so its ports.
func (q *Query) named() bool {
	p := q.Tuple.Proto
	return p == flows.TCP || p == flows.UDP || p == flows.SCTP
}

// protocol names the packet's family and protocol.
func (q *Query) protocol() string {
	name, suffix := "ip", ""
	if q.Tuple.IsIPv6() {
		name, suffix = "ipv6", "6"
	}
	if q.named() {
		return q.Tuple.Proto.String() + suffix
	}
	return fmt.Sprintf("%s,nw_proto=%d", name, uint8(q.Tuple.Proto))
}
