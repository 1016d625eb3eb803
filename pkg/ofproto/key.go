package ofproto

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// key writes the packet as ovs-dpctl(8) does, with the original tuple of its connection.
func (q *Query) key() string {
	var b strings.Builder
	if q.from != nil {
		return q.resumed(&b)
	}
	b.WriteString("recirc_id(0),")
	q.packetKey(&b, q.Frame, q.Tuple)
	q.mark(&b, q.Mark, q.Labels)
	originalKey(&b, q.original())
	return b.String()
}

// resumed writes a packet that is recirculated, with all that conntrack said of it.
func (q *Query) resumed(b *strings.Builder) string {
	k := &q.from.Key
	fmt.Fprintf(b, "recirc_id(%#x),", k.Uint(megaflow.RecircID))
	t := q.from.Addressed(q.Tuple)
	q.packetKey(b, q.from.Frame(), t)
	if state := k.Uint(megaflow.CTState); state != 0 {
		fmt.Fprintf(b, ",ct_state(%#x),ct_zone(%d)", state, k.Uint(megaflow.CTZone))
		q.mark(b, uint32(k.Uint(megaflow.CTMark)), k.Wide(megaflow.CTLabel))
		originalKey(b, originalOf(k, t))
	}
	return b.String()
}

// originalOf returns the original tuple that a packet has from conntrack.
func originalOf(k *megaflow.Key, t flows.Tuple) flows.Tuple {
	src, dst := k.Wide(megaflow.CTIPSrc), k.Wide(megaflow.CTIPDst)
	t.Src, t.Dst = netip.AddrFrom16(src), netip.AddrFrom16(dst)
	if k.Uint(megaflow.EthType) == 0x0800 {
		t.Src, t.Dst = netip.AddrFrom4([4]byte(src[12:])), netip.AddrFrom4([4]byte(dst[12:]))
	}
	t.SrcPort, t.DstPort = uint16(k.Uint(megaflow.CTTPSrc)), uint16(k.Uint(megaflow.CTTPDst))
	return t
}

// packetKey writes what is in the packet itself.
func (q *Query) packetKey(b *strings.Builder, f flows.Frame, t flows.Tuple) {
	q.tunnelKey(b)
	fmt.Fprintf(b, "in_port(%d),eth(src=%v,dst=%v),", q.Datapath.Port, f.SrcMAC, f.DstMAC)
	end := tagKey(b, f.Tags)
	if t.IsIPv6() {
		fmt.Fprintf(b, "eth_type(0x86dd),ipv6(src=%v,dst=%v,label=0,proto=%d,tclass=%d,hlimit=%d,frag=no)", t.Src, t.Dst, uint8(t.Proto), q.tos(), q.ttl())
	} else {
		fmt.Fprintf(b, "eth_type(0x0800),ipv4(src=%v,dst=%v,proto=%d,tos=%d,ttl=%d,frag=no)", t.Src, t.Dst, uint8(t.Proto), q.tos(), q.ttl())
	}
	if q.named() {
		fmt.Fprintf(b, ",%v(src=%d,dst=%d)", t.Proto, t.SrcPort, t.DstPort)
	}
	if t.Proto == flows.TCP {
		b.WriteString(",tcp_flags(ack)")
	}
	b.WriteString(end)
}

func (q *Query) mark(b *strings.Builder, mark uint32, labels [16]byte) {
	if mark != 0 {
		fmt.Fprintf(b, ",ct_mark(%#x)", mark)
	}
	if labels != [16]byte{} {
		fmt.Fprintf(b, ",ct_label(0x%x)", labels)
	}
}

func originalKey(b *strings.Builder, t flows.Tuple) {
	family := 4
	if t.IsIPv6() {
		family = 6
	}
	fmt.Fprintf(b, ",ct_tuple%d(src=%v,dst=%v,proto=%d,tp_src=%d,tp_dst=%d)", family, t.Src, t.Dst, uint8(t.Proto), t.SrcPort, t.DstPort)
}
