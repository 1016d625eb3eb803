package ofproto

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// checkOutside refuses tags and tunnels that cannot be, or that cannot be written.
func (q *Query) checkOutside() error {
	for i, t := range q.Tags {
		switch {
		case t.IsZero():
		case i == 1 && q.Tags[0].IsZero():
			return fmt.Errorf("%w: an inner tag alone", ErrQuery)
		case t.Type != flows.TagCustomer && t.Type != flows.TagProvider || t.ID > 0xfff || t.Priority > 7:
			return fmt.Errorf("%w: tag %+v", ErrQuery, t)
		case q.Datapath == nil && (i == 1 || t.Type != flows.TagCustomer):
			return fmt.Errorf("%w: OpenFlow has no words for %s", ErrQuery, t)
		}
	}
	t := q.Tunnel.Value()
	switch {
	case q.Tunnel.IsZero():
	case !t.Src.IsValid() || !t.Dst.IsValid() || t.Src.Is4() != t.Dst.Is4() || t.ID > 1<<24-1:
		return fmt.Errorf("%w: tunnel %s", ErrQuery, t)
	case t.Options != "" && q.Datapath == nil:
		return fmt.Errorf("%w: OpenFlow has no words for Geneve's options", ErrQuery)
	}
	_, err := formatOptions(t.Options)
	return err
}

// flowOutside writes tags and tunnel as ovs-fields(7) describes.
func (q *Query) flowOutside(b *strings.Builder) {
	if t := q.Tags[0]; !t.IsZero() {
		fmt.Fprintf(b, ",dl_vlan=%d,dl_vlan_pcp=%d", t.ID, t.Priority)
	}
	if t := q.Tunnel.Value(); !q.Tunnel.IsZero() {
		family := ""
		if t.Dst.Is6() {
			family = "ipv6_"
		}
		fmt.Fprintf(b, ",tun_id=%#x,tun_%ssrc=%v,tun_%sdst=%v", t.ID, family, t.Src, family, t.Dst)
	}
}

// tunnelKey writes the outer header as ovs-dpctl(8) does, followed by a comma. The flags
// are those of most packets: nothing depends on that of the checksum.
func (q *Query) tunnelKey(b *strings.Builder) {
	if q.Tunnel.IsZero() {
		return
	}
	t, family := q.Tunnel.Value(), ""
	if t.Dst.Is6() {
		family = "ipv6_"
	}
	fmt.Fprintf(b, "tunnel(tun_id=%#x,%ssrc=%v,%sdst=%v,tos=0,ttl=64", t.ID, family, t.Src, family, t.Dst)
	if options, err := formatOptions(t.Options); err == nil && options != "" {
		fmt.Fprintf(b, ",geneve(%s)", options)
	}
	b.WriteString(",flags(csum|key)),")
}

// tagKey writes the tags as ovs-dpctl(8) does, and returns what closes them.
func tagKey(b *strings.Builder, tags flows.Tags) string {
	for _, t := range tags[:tags.Len()] {
		fmt.Fprintf(b, "eth_type(%#x),vlan(vid=%d,pcp=%d),encap(", t.Type, t.ID, t.Priority)
	}
	return strings.Repeat(")", tags.Len())
}
