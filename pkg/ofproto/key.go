package ofproto

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// key writes the packet as ovs-dpctl(8) does, with the original tuple of its
// connection: without NAT, that of the packet or its reverse.
func (q *Query) key() string {
	var b strings.Builder
	t := q.Tuple
	fmt.Fprintf(&b, "recirc_id(0),in_port(%d),eth(src=%v,dst=%v)", q.Datapath.Port, q.SrcMAC, q.DstMAC)
	if t.IsIPv6() {
		fmt.Fprintf(&b, ",eth_type(0x86dd),ipv6(src=%v,dst=%v,label=0,proto=%d,tclass=0,hlimit=64,frag=no)", t.Src, t.Dst, uint8(t.Proto))
	} else {
		fmt.Fprintf(&b, ",eth_type(0x0800),ipv4(src=%v,dst=%v,proto=%d,tos=0,ttl=64,frag=no)", t.Src, t.Dst, uint8(t.Proto))
	}
	if q.named() {
		fmt.Fprintf(&b, ",%v(src=%d,dst=%d)", t.Proto, t.SrcPort, t.DstPort)
	}
	if t.Proto == flows.TCP {
		b.WriteString(",tcp_flags(ack)")
	}
	if q.Mark != 0 {
		fmt.Fprintf(&b, ",ct_mark(%#x)", q.Mark)
	}
	if q.Labels != [16]byte{} {
		fmt.Fprintf(&b, ",ct_label(0x%x)", q.Labels)
	}
	q.original(&b)
	return b.String()
}

func (q *Query) original(b *strings.Builder) {
	t, family := q.Tuple, 4
	if q.Reply {
		t = t.Reverse()
	}
	if t.IsIPv6() {
		family = 6
	}
	fmt.Fprintf(b, ",ct_tuple%d(src=%v,dst=%v,proto=%d,tp_src=%d,tp_dst=%d)", family, t.Src, t.Dst, uint8(t.Proto), t.SrcPort, t.DstPort)
}
